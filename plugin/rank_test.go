package multicluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/internal/mcsapi"

	"github.com/miekg/dns"
)

// rankedSlice is a slice of one endpoint, web-0, with a rank; "" is no annotation.
func rankedSlice(cluster, family, addr, rank, port string, ready bool) string {
	if rank != "" {
		rank = fmt.Sprintf(", annotations: {clusterset.dev/rank: %q}", rank)
	}
	return fmt.Sprintf(`
metadata: {name: %[1]s-%[7]s, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: %[1]s}%[4]s}
addressType: %[2]s
ports: [{name: %[5]s, port: 80, protocol: TCP}]
endpoints: [{addresses: [%[3]q], hostname: web-0, conditions: {ready: %[6]v}}]`, cluster, family, addr, rank, port, ready, strings.ToLower(family))
}

// TestRank_P3_G1: the name of a headless service and those of its ports stand for the clusters of the lowest rank that has a ready
// endpoint of any family; names of endpoints answer whatever the rank, and from the reserve, too; a transfer has the same.
func TestRank_P3_G1(t *testing.T) {
	const db = "db.shop.svc.clusterset.local."
	near := func(ready bool) string { return rankedSlice("near", "IPv4", "10.1.0.1", "", "pg", ready) }
	near6 := func(ready bool) string { return rankedSlice("near", "IPv6", "fd00:1::1", "0", "pg", ready) }
	mid := func(ready bool) string { return rankedSlice("mid", "IPv4", "10.2.0.1", "1", "stats", ready) }
	far := func(ready bool) string { return rankedSlice("far", "IPv4", "10.3.0.1", "7", "pg", ready) }
	srv := func(cluster, port string, weight int) string {
		return fmt.Sprintf("_%s._tcp.%s SRV 0 %d 80 web-0.%s.%s\n", port, db, weight, cluster, db)
	}
	for _, c := range []struct {
		name                   string
		slices                 []string
		a, aaaa, pg, stats     string // answers; none means NODATA for addresses, NXDOMAIN for ports
		pgExtra                string
		nearName, mid, farName bool // exists
	}{
		{"all are ready", []string{near(true), near6(true), mid(true), far(true)}, "@ A 10.1.0.1", "@ AAAA fd00:1::1", srv("near", "pg", 100), "",
			"web-0.near." + db + " A 10.1.0.1\nweb-0.near." + db + " AAAA fd00:1::1", true, true, true},
		{"one family of the first is", []string{near(false), near6(true), mid(true), far(true)}, "", "@ AAAA fd00:1::1", srv("near", "pg", 100), "",
			"web-0.near." + db + " AAAA fd00:1::1", true, true, true},
		{"the first is not", []string{near(false), near6(false), mid(true), far(true)}, "@ A 10.2.0.1", "", "", srv("mid", "stats", 100), "", false, true, true},
		{"only the last is", []string{near(false), mid(false), far(true)}, "@ A 10.3.0.1", "", srv("far", "pg", 100), "",
			"web-0.far." + db + " A 10.3.0.1", false, false, true},
		{"equals answer together", []string{rankedSlice("near", "IPv4", "10.1.0.1", "7", "pg", true), far(true)}, "@ A 10.1.0.1\n@ A 10.3.0.1", "",
			srv("near", "pg", 50) + srv("far", "pg", 50), "", "web-0.near." + db + " A 10.1.0.1\nweb-0.far." + db + " A 10.3.0.1", true, false, true},
		{"a rank that is none is 0", []string{rankedSlice("near", "IPv4", "10.1.0.1", "first", "pg", true), mid(true),
			rankedSlice("far", "IPv4", "10.3.0.1", "-1", "pg", true)}, "@ A 10.1.0.1\n@ A 10.3.0.1", "",
			srv("near", "pg", 50) + srv("far", "pg", 50), "", "web-0.near." + db + " A 10.1.0.1\nweb-0.far." + db + " A 10.3.0.1", true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, testZone)
			f.apply(dbImport + "\n---\n" + strings.Join(c.slices, "\n---\n"))
			for _, label := range []string{mcsapi.LabelServiceName, mcsapi.LabelReserve} { // of those after the first (SPEC G1)
				f.apply(strings.ReplaceAll(strings.Join(c.slices[1:], "\n---\n"), mcsapi.LabelServiceName, label))
				f.run([]ask{
					{name: db, qtype: dns.TypeA, answer: c.a},
					{name: db, qtype: dns.TypeAAAA, answer: c.aaaa},
					{name: "_pg._tcp." + db, qtype: dns.TypeSRV, answer: c.pg, extra: c.pgExtra, absent: c.pg == ""},
				})
				if reply, _ := f.ask(overTCP, "_stats._tcp."+db, dns.TypeSRV); (len(reply.Answer) > 0) != (c.stats != "") {
					t.Errorf("_stats._tcp: %v", reply)
				}
				for cluster, exists := range map[string]bool{"near": c.nearName, "mid": c.mid, "far": c.farName} {
					for _, name := range []string{"web-0." + cluster + "." + db, cluster + "." + db} {
						if reply, _ := f.ask(overTCP, name, dns.TypeA); (reply.Rcode == dns.RcodeSuccess) != exists {
							t.Errorf("%s: %s", name, dns.RcodeToString[reply.Rcode])
						}
					}
				}
				sameAsAsked(t, f, transferred(t, f, testZone))
			}
		})
	}
}

// TestRankOfClusterSetIP_P3: a ClusterSetIP name is unaffected.
func TestRankOfClusterSetIP_P3(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + strings.ReplaceAll(rankedSlice("far", "IPv4", "10.3.0.1", "7", "pg", true), "service-name: db", "service-name: web"))
	before := transferred(t, f, testZone)
	f.apply(strings.ReplaceAll(rankedSlice("far", "IPv4", "10.3.0.1", "2", "pg", false), "service-name: db", "service-name: web"))
	if after := transferred(t, f, testZone); strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Errorf("%q became %q", before, after)
	}
}
