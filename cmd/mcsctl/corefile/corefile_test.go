package corefile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	const stock = "kubernetes cluster.local in-addr.arpa ip6.arpa {\n pods verified\n fallthrough in-addr.arpa ip6.arpa\n }\n forward . /etc/resolv.conf\n"
	for _, c := range []struct {
		name, corefile string
		want           State
		server         string
		ttl            time.Duration
		to             []string
	}{
		{"the document's line (SPEC A5)", ".:53 {\n multicluster clusterset.local\n " + stock + "cache 30\n}", Served, ".:53", 5 * time.Second, nil},
		{"a stock Corefile", ".:53 {\n errors\n " + stock + "}", Missing, ".:53", 0, nil},
		{"zones from the server block", "clusterset.local {\n multicluster\n}\n.:53 {\n" + stock + "}", Served, "clusterset.local.:53", 5 * time.Second, nil},
		{"a more specific block", "clusterset.local:53 {\n errors\n}\n.:53 {\n multicluster clusterset.local\n}", Captured, "clusterset.local.:53", 0, nil},
		{"a stub domain", "clusterset.local:53 {\n cache 5\n forward . 10.96.0.53\n}\n.:53 {\n" + stock + "}", Forwarded, "clusterset.local.:53", 0, []string{"10.96.0.53"}},
		{"kubernetes claims the zone", ".:53 {\n kubernetes cluster.local clusterset.local\n}", Claimed, ".:53", 0, nil},
		{"kubernetes serves it by itself", ".:53 {\n kubernetes cluster.local clusterset.local {\n multicluster clusterset.local\n }\n}", ServedByKubernetes, ".:53", 0, nil},
		{"kubernetes claims it, but multicluster comes first", ".:53 {\n kubernetes cluster.local clusterset.local\n multicluster clusterset.local\n}", Served, ".:53", 5 * time.Second, nil},
		{"another zone", ".:53 {\n multicluster example.org\n}", OtherZone, ".:53", 0, []string{"example.org."}},
		{"no server for it", "cluster.local {\n kubernetes\n}", Missing, "", 0, nil},
		{"an empty file", "", Missing, "", 0, nil},
		{"a block that is cut off", ".:53 {\n multicluster clusterset.local {\n ttl 7", Served, ".:53", 7 * time.Second, nil},
		{"case and dots", ".:53 {\n multicluster ClusterSet.Local.\n}", Served, ".:53", 5 * time.Second, nil},
		{"a longer ttl", ".:53 {\n multicluster clusterset.local {\n ttl 600\n }\n cache 30\n}", Served, ".:53", 10 * time.Minute, nil},
		{"a snippet is no server", "(common) {\n multicluster clusterset.local\n}\n.:53 {\n errors\n}", Missing, ".:53", 0, nil},
		{"nobody asks another port", ".:53 {\n errors\n}\n.:5353 {\n multicluster clusterset.local\n}", Missing, ".:53", 0, nil},
		{"all on another port", ".:1053 {\n multicluster clusterset.local\n}", Served, ".:1053", 5 * time.Second, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Of(c.corefile, "clusterset.local")
			if got.State != c.want || got.Server != c.server || got.TTL != c.ttl || !slices.Equal(got.To, c.to) {
				t.Errorf("got %+v, want %s in %q for %s, to %v", got, c.want, c.server, c.ttl, c.to)
			}
		})
	}
}

// TestCached_D18: of a cache it is known whether it keeps answers of the zone, and which, and of a server block whether it balances.
func TestCached_D18(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		cached      string
		balanced    bool
	}{
		{"no cache", "loadbalance", "", true},
		{"no balance", "errors", "", false},
		{"a plain cache", "cache 30", "success denial", false},
		{"a cache without a TTL", "cache", "success denial", false},
		{"kubeadm's cache", "cache 30 {\n disable success cluster.local\n disable denial cluster.local\n }\n loadbalance", "success denial", true},
		{"the zone next to it", "cache 30 {\n disable success cluster.local ClusterSet.local.\n disable denial cluster.local clusterset.local\n }", "", false},
		{"only success", "cache {\n disable success clusterset.local\n }", "denial", false},
		{"only denial", "cache {\n success 9984 30\n disable denial clusterset.local\n }", "success", false},
		{"disabled for all", "cache {\n disable success\n disable denial\n }", "", false},
		{"disabled for a zone above", "cache {\n disable success local\n disable denial .\n }", "", false},
		{"disabled for a part of the zone", "cache {\n disable success shop.svc.clusterset.local\n disable denial\n }", "success", false},
		{"the last line counts", "cache {\n disable success clusterset.local\n disable success cluster.local\n disable denial\n }", "success", false},
		{"a cache for other zones", "cache 30 cluster.local example.org", "", false},
		{"a cache for the zone", "cache 30 cluster.local clusterset.local", "success denial", false},
		{"a cache for a part of the zone", "cache shop.svc.clusterset.local", "success denial", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for directive, server := range map[string]string{"multicluster": "clusterset.local", "multicluster clusterset.local": ".", "forward . 10.96.0.53": "clusterset.local"} {
				text := fmt.Sprintf("%s {\n %s\n %s\n}\ncluster.local {\n cache 5\n}\n", server, directive, c.lines)
				if got := Of(text, "clusterset.local"); !got.Works() || strings.Join(got.Cached, " ") != c.cached || got.Unbalanced == c.balanced {
					t.Errorf("got %+v of\n%s", got, text)
				}
			}
		})
	}
}
