package corefile

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestStub: a stub domain goes into a Corefile once, makes the zone forwarded and nothing else, and comes out without a trace.
func TestStub(t *testing.T) {
	const zone = "clusterset.local"
	ours := regexp.MustCompile(`    errors\n(    forward .*\n)    loadbalance\n}\n# mcsctl dns: end .*\n`)
	for name, stock := range map[string]string{
		"kubeadm":    ".:53 {\n    errors\n    kubernetes cluster.local\n    forward . /etc/resolv.conf\n    cache 30\n    reload\n}\n",
		"no newline": ".:53 {\n    forward . /etc/resolv.conf\n}",
		"other port": ".:5353 {\n    forward . /etc/resolv.conf\n}\n",
		"two blocks": "example.org:53 {\n    whoami\n}\n.:53 {\n    forward . 9.9.9.9\n}\n",
	} {
		with := WithStub(stock, zone, []string{"10.96.0.53", "fd00::53"})
		if a := Of(with, zone); a.State != Forwarded || !slices.Equal(a.To, []string{"10.96.0.53", "fd00::53"}) {
			t.Errorf("%s: the zone is %+v in\n%s", name, a, with)
		} else if len(a.Cached) > 0 || a.Unbalanced {
			t.Errorf("%s: the block caches or does not balance (SPEC D18): %+v in\n%s", name, a, with)
		}
		if again := WithStub(with, "ClusterSet.local.", []string{"10.96.0.53", "fd00::53"}); again != with {
			t.Errorf("%s: done twice it is\n%s", name, again)
		}
		if moved := Of(WithStub(with, zone, []string{"10.96.0.54"}), zone); !slices.Equal(moved.To, []string{"10.96.0.54"}) {
			t.Errorf("%s: to another address: %+v", name, moved)
		}
		other := WithStub(with, "other.example", []string{"10.96.0.99"})
		if a := Of(other, zone); a.State != Forwarded || a.To[0] != "10.96.0.53" {
			t.Errorf("%s: beside another stub the zone is %+v", name, a)
		}
		without, found := WithoutStub(with, zone)
		if want := stock; !found || without != want && without != want+"\n" {
			t.Errorf("%s: taken out (%v) it is\n%s", name, found, without)
		}
		for changed, edited := range map[string]bool{
			with: false, strings.ReplaceAll(with, "    ", "\t"): false,
			strings.Replace(with, "    loadbalance\n", "    loadbalance\n    cache 5\n", 1): true,
			strings.Replace(with, "10.96.0.53", "10.96.0.54", 1):                            true,
			regexp.MustCompile("(?m)(: end) .*$").ReplaceAllString(with, "$1"):              true,
			stock: false,
			// as it was before there was a digest, and changed then
			ours.ReplaceAllString(with, "    errors\n    cache 5\n$1}\n# mcsctl dns: end\n"):          false,
			ours.ReplaceAllString(with, "    errors\n    cache 5\n    log\n$1}\n# mcsctl dns: end\n"): true,
		} {
			if got := StubEdited(changed, zone); got != edited {
				t.Errorf("%s: edited is %v of\n%s", name, got, changed)
			}
			if without, _ := WithoutStub(changed, zone); strings.Contains(without, "mcsctl") {
				t.Errorf("%s: taken out it is\n%s", name, without)
			}
		}
		if _, found := WithoutStub(stock, zone); found {
			t.Errorf("%s: a block was found that nobody made", name)
		}
	}
	cut := stubBegins + zone + "\nclusterset.local:53 {\n"
	if got, found := WithoutStub(cut, zone); found || got != cut {
		t.Error("a block that somebody edited is taken out all the same")
	}
}
