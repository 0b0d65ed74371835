package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"

	"github.com/miekg/dns"
)

// TestOptions_D13: namespaces and labels, for every kind of record, and changes of what they look at.
func TestOptions_D13(t *testing.T) {
	c := sharedCluster(t)
	in, out := namespaced(t, c), namespaced(t, c)
	labelled := strings.NewReplacer("name: web,", "name: web, labels: {tier: front},", "name: db,", "name: db, labels: {tier: front},")
	for _, ns := range []string{in, out} {
		apply(t, c, ns, labelled.Replace(web)+"\n---"+labelled.Replace(db)+"\n---"+dbEast+"\n---"+strings.Replace(web, "name: web", "name: plain", 1))
	}
	s := serve(t, fmt.Sprintf(`.:{port} {
    bind 127.0.0.1
    multicluster clusterset.local {
        kubeconfig %s
        namespaces %s not-there
        labels tier in (front, middle)
    }
    transfer {
        to *
    }
}`, c.Kubeconfig(), in))
	db1 := want{name: "db-1.east.db." + in + ".svc.clusterset.local.", qtype: dns.TypeA,
		answer: []string{"db-1.east.db." + in + ".svc.clusterset.local. 5 IN A 10.1.0.2"}}
	s.answers(webAnswer(in))
	s.answers(db1)
	for _, name := range []string{"plain." + in, "web." + out, "db." + out, "db-1.east.db." + out, out, "not-there"} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeTXT} {
			s.answers(want{name: name + ".svc.clusterset.local.", qtype: qtype, rcode: dns.RcodeNameError})
		}
	}
	s.answers(want{name: "_pg._tcp.db." + out + ".svc.clusterset.local.", qtype: dns.TypeSRV, rcode: dns.RcodeNameError})
	var owners []string
	for _, rr := range s.transfer() {
		if name, below := strings.CutSuffix(rr.Header().Name, ".svc.clusterset.local."); below {
			owners = append(owners, name)
		}
	}
	slices.Sort(owners)
	wanted := []string{"_http._tcp.web." + in, "_pg._tcp.db." + in, "db-0.east.db." + in, "db-1.east.db." + in, "db." + in, "web." + in}
	if got := slices.Compact(owners); !slices.Equal(got, wanted) {
		t.Errorf("transferred %q, want %q", got, wanted)
	}

	apply(t, c, in, strings.Replace(web, "name: web,", "name: web, labels: {tier: back},", 1))
	s.answers(want{name: webAnswer(in).name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	apply(t, c, in, strings.Replace(web, "name: web,", "name: web, labels: {tier: middle},", 1))
	s.answers(webAnswer(in))
	s.answers(db1)
}

// TestServerBlocks_D13: several server blocks and zones with one API server read once; one with another kubeconfig has data
// of its own.
func TestServerBlocks_D13(t *testing.T) {
	one, two := ownCluster(t), controlplane.ForTest(t, controlplane.Options{Name: "two"})
	if err := two.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	nsOne, nsTwo := namespaced(t, one), namespaced(t, two)
	apply(t, one, nsOne, web)
	apply(t, two, nsTwo, web)
	s := serve(t, fmt.Sprintf(`.:{port} {
    bind 127.0.0.1
    ready 127.0.0.1:{port:ready}
    prometheus 127.0.0.1:{port:metrics}
    multicluster clusterset.local multi.example {
        kubeconfig %[1]s
    }
    multicluster two.example {
        kubeconfig %[2]s
    }
}
block.example:{port} {
    bind 127.0.0.1
    multicluster {
        kubeconfig %[1]s
        ttl 60
    }
}`, one.Kubeconfig(), two.Kubeconfig()))
	for zone, ns := range map[string]string{"clusterset.local.": nsOne, "multi.example.": nsOne, "block.example.": nsOne, "two.example.": nsTwo} {
		ttl := 5
		if zone == "block.example." {
			ttl = 60
		}
		name := "web." + ns + ".svc." + zone
		s.answers(want{name: name, qtype: dns.TypeA, answer: []string{fmt.Sprintf("%s %d IN A 10.96.1.1", name, ttl)}})
		for _, other := range []string{nsOne, nsTwo} {
			if other != ns {
				s.answers(want{name: "web." + other + ".svc." + zone, qtype: dns.TypeA, rcode: dns.RcodeNameError})
			}
		}
	}
	if !s.ready() {
		t.Error("not ready")
	}
	_, metrics := s.get("metrics", "/metrics")
	if n := strings.Count(metrics, "\ncoredns_multicluster_synced{"); n != 2 {
		t.Errorf("%d sources for two API servers", n)
	}
	all := readsOf(t, one, "serviceimports") // lists too, which the API server itself asks for
	if len(all) == 0 || !strings.HasPrefix(all[len(all)-1], "apiserver_watch_list") || !strings.HasSuffix(all[len(all)-1], "} 1") {
		t.Errorf("three zones with one API server asked it for all imports: %q", all)
	}
}

// TestWrongCorefile: one line that says where and what, and an exit that is not zero.
func TestWrongCorefile(t *testing.T) {
	for option, complaint := range map[string]string{
		"ttl 1h":                      ":3 - Error during parsing: ttl must be a number of seconds from 0 to 3600: '1h'",
		"kubeconfig /nonexistent":     "kubeconfig: open /nonexistent: no such file or directory",
		"endpoint https://10.0.0.1":   "unknown property 'endpoint'",
		"labels a in":                 "is no label selector",
		"ttl 5":                       "no kubeconfig is given, and this is no pod of a cluster",
		"kubeconfig {port:name} a b ": "Wrong argument count",
	} {
		s := start(t, ".:{port} {\nmulticluster clusterset.local {\n"+option+"\n}\n}\n")
		<-s.exited
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		last := lines[len(lines)-1]
		if s.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(last, "plugin/multicluster: ") || !strings.Contains(last, complaint) || !strings.Contains(last, "Corefile:") {
			t.Errorf("%s: exit %d after\n%s", option, s.cmd.ProcessState.ExitCode(), s.log)
		}
	}
}
