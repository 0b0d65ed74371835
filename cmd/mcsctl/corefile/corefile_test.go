package corefile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	const stock = "kubernetes cluster.local in-addr.arpa ip6.arpa {\n pods verified\n fallthrough in-addr.arpa ip6.arpa\n }\n forward . /etc/resolv.conf\n"
	for _, c := range []struct {
		name, corefile string
		want           State
		server         string
		lasting        time.Duration
		to             []string
	}{
		{"the document's line (SPEC A5)", ".:53 {\n multicluster clusterset.local\n " + stock + "cache 30\n}", Served, ".:53", 5 * time.Second, nil},
		{"a stock Corefile", ".:53 {\n errors\n " + stock + "}", Missing, ".:53", 0, nil},
		{"zones from the server block", "clusterset.local {\n multicluster\n}\n.:53 {\n" + stock + "}", Served, "clusterset.local.:53", 5 * time.Second, nil},
		{"a more specific block", "clusterset.local:53 {\n errors\n}\n.:53 {\n multicluster clusterset.local\n}", Captured, "clusterset.local.:53", 0, nil},
		{"a stub domain", "clusterset.local:53 {\n cache 5\n forward . 10.96.0.53\n}\n.:53 {\n" + stock + "}", Forwarded, "clusterset.local.:53", 5 * time.Second, []string{"10.96.0.53"}},
		{"kubernetes claims the zone", ".:53 {\n kubernetes cluster.local clusterset.local\n}", Claimed, ".:53", 0, nil},
		{"kubernetes serves it by itself", ".:53 {\n kubernetes cluster.local clusterset.local {\n multicluster clusterset.local\n }\n}", ServedByKubernetes, ".:53", 0, nil},
		{"kubernetes claims it, but multicluster comes first", ".:53 {\n kubernetes cluster.local clusterset.local\n multicluster clusterset.local\n}", Served, ".:53", 5 * time.Second, nil},
		{"another zone", ".:53 {\n multicluster example.org\n}", OtherZone, ".:53", 0, []string{"example.org."}},
		{"no server for it", "cluster.local {\n kubernetes\n}", Missing, "", 0, nil},
		{"an empty file", "", Missing, "", 0, nil},
		{"a block that is cut off", ".:53 {\n multicluster clusterset.local {\n ttl 7", Served, ".:53", 7 * time.Second, nil},
		{"case and dots", ".:53 {\n multicluster ClusterSet.Local.\n}", Served, ".:53", 5 * time.Second, nil},
		{"a longer ttl, which the cache limits", ".:53 {\n multicluster clusterset.local {\n ttl 600\n }\n cache 30\n}", Served, ".:53", 30 * time.Second, nil},
		{"a cache that prolongs", ".:53 {\n multicluster clusterset.local\n cache {\n success 9984 300 120\n }\n}", Served, ".:53", 2 * time.Minute, nil},
		{"a snippet is no server", "(common) {\n multicluster clusterset.local\n}\n.:53 {\n errors\n}", Missing, ".:53", 0, nil},
		{"nobody asks another port", ".:53 {\n errors\n}\n.:5353 {\n multicluster clusterset.local\n}", Missing, ".:53", 0, nil},
		{"all on another port", ".:1053 {\n multicluster clusterset.local\n}", Served, ".:1053", 5 * time.Second, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Of(c.corefile, "clusterset.local")
			if got.State != c.want || got.Server != c.server || got.Lasting != c.lasting || !slices.Equal(got.To, c.to) {
				t.Errorf("got %+v, want %s in %q for %s, to %v", got, c.want, c.server, c.lasting, c.to)
			}
		})
	}
}

// TestShipped: every Corefile that is applied to clusters or copied by users is understood.
func TestShipped(t *testing.T) {
	found := 0
	for _, pattern := range []string{"../../../corefile-examples/*", "../../../deploy/components/coredns/Corefile", "../../../deploy/coredns*/*/Corefile"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil || filepath.Ext(file) == ".go" || filepath.Ext(file) == ".md" {
				continue
			}
			found++
			if got := Of(string(text), "clusterset.local"); got.State != Served {
				t.Errorf("%s: %+v", file, got)
			}
		}
	}
	if found == 0 {
		t.Error("no Corefile was found")
	}
}
