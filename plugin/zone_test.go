package multicluster

import (
	"context"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/miekg/dns"
)

// TestStanding_D1_D5: what is there whatever is imported.
func TestStanding_D1_D5(t *testing.T) {
	f := newFixture(t, testZone)
	const glue = "ns.dns.clusterset.local. A 10.0.0.53\nns.dns.clusterset.local. AAAA fd00::53"
	f.run([]ask{
		{name: "dns-version." + testZone, qtype: dns.TypeTXT, answer: "@ 28800 TXT 1.0.0"},
		{name: "dns-version." + testZone, qtype: dns.TypeA},
		{name: "x.dns-version." + testZone, qtype: dns.TypeTXT, absent: true},
		{name: testZone, qtype: dns.TypeNS, answer: "@ NS ns.dns.clusterset.local.", extra: glue},
		{name: testZone, qtype: dns.TypeA},
		{name: testZone, qtype: dns.TypeSRV},
		{name: "ns.dns." + testZone, qtype: dns.TypeA, answer: "@ A 10.0.0.53"},
		{name: "ns.dns." + testZone, qtype: dns.TypeAAAA, answer: "@ AAAA fd00::53"},
		{name: "ns.dns." + testZone, qtype: dns.TypeMX},
		{name: "dns." + testZone, qtype: dns.TypeA},
		{name: "svc." + testZone, qtype: dns.TypeA},
		{name: "svc." + testZone, qtype: dns.TypeANY},
		{name: "shop.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "web.shop.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "pod." + testZone, qtype: dns.TypeA, absent: true},
		{name: "10-0-0-1.shop.pod." + testZone, qtype: dns.TypeA, absent: true},
		{name: "xsvc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "svc.svc.svc.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "*." + testZone, qtype: dns.TypeA, absent: true},
		{name: "_http._tcp." + testZone, qtype: dns.TypeSRV, absent: true},
		{name: `web\.shop.svc.` + testZone, qtype: dns.TypeA, absent: true},
		{name: `\000.svc.` + testZone, qtype: dns.TypeA, absent: true},
		{name: strings.Repeat("a.", 110) + "svc." + testZone, qtype: dns.TypeA, absent: true},
	})
	soa, _ := f.ask(roomy, testZone, dns.TypeSOA)
	if len(soa.Answer) != 1 || soa.Answer[0].(*dns.SOA).Ns != "ns.dns."+testZone || soa.Answer[0].Header().Ttl != 5 || soa.Answer[0].(*dns.SOA).Minttl != 5 {
		t.Errorf("SOA %v", soa.Answer)
	}
}

// TestNamespaces_D5: a namespace exists while it holds any import.
func TestNamespaces_D5(t *testing.T) {
	f := newFixture(t, testZone)
	here := []ask{{name: "shop.svc." + testZone, qtype: dns.TypeA}, {name: "shop.svc." + testZone, qtype: dns.TypeSRV}}
	gone := []ask{{name: "shop.svc." + testZone, qtype: dns.TypeA, absent: true}}
	f.run(gone)
	f.apply(webImport)
	f.apply(dbImport)
	f.apply(dbImport) // the same again
	f.run(here)
	f.remove(webImport)
	f.run(here)
	f.remove(dbImport)
	f.run(gone)
	f.remove(dbImport)
	f.apply(dbSlices) // endpoints are no import
	f.run(gone)
	f.run([]ask{{name: "db.shop.svc." + testZone, qtype: dns.TypeA, absent: true}})
}

// TestTypeChanges: an import that becomes headless and back answers so at once.
func TestTypeChanges(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbSlices)
	headless := []ask{
		{name: "db.shop.svc." + testZone, qtype: dns.TypeAAAA, answer: "@ AAAA fd00:1::1"},
		{name: "db-1.east.db.shop.svc." + testZone, qtype: dns.TypeA, answer: "@ A 10.1.0.2"},
	}
	f.apply(dbImport)
	f.run(headless)
	f.apply(strings.NewReplacer("type: Headless", "type: ClusterSetIP", "ips: []", "ips: [10.96.0.7]").Replace(dbImport))
	f.run([]ask{
		{name: "db.shop.svc." + testZone, qtype: dns.TypeA, answer: "@ A 10.96.0.7"},
		{name: "db.shop.svc." + testZone, qtype: dns.TypeAAAA},
		{name: "db-1.east.db.shop.svc." + testZone, qtype: dns.TypeA, absent: true},
	})
	f.apply(dbImport)
	f.run(headless)
}

// TestCase_D6: the owner of an answer is spelled as it was asked for; all else is in lower case.
func TestCase_D6(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	const web = "web.shop.svc.clusterset.local."
	const addresses = web + " A 10.96.0.1\n" + web + " AAAA fd00:96::1"
	f.run([]ask{
		{name: "wEb.sHoP.SvC.ClUsTeRsEt.LoCaL.", qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: "wEb.sHoP.SvC.ClUsTeRsEt.LoCaL.", qtype: dns.TypeAAAA, answer: "@ AAAA fd00:96::1"},
		{name: "_HTTP._Tcp.Web.shop.svc.clusterset.local.", qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: addresses},
		{name: "DB-0.West.EU.db.shop.svc.clusterset.local.", qtype: dns.TypeA, answer: "@ A 10.2.0.1"},
		{name: "DNS-VERSION.CLUSTERSET.LOCAL.", qtype: dns.TypeTXT, answer: "@ 28800 TXT 1.0.0"},
		{name: "CLUSTERSET.LOCAL.", qtype: dns.TypeNS, answer: "@ NS ns.dns.clusterset.local.",
			extra: "ns.dns.clusterset.local. A 10.0.0.53\nns.dns.clusterset.local. AAAA fd00::53"},
		{name: "SHOP.svc.clusterset.local.", qtype: dns.TypeA},
		{name: "NOPE.svc.clusterset.local.", qtype: dns.TypeA, absent: true},
		{name: web, qtype: dns.TypeA, answer: "@ A 10.96.0.1"}, // what was spelled otherwise before is as it was
	})
	reply, _ := f.ask(roomy, "NOPE.SVC.CLUSTERSET.LOCAL.", dns.TypeA)
	if reply.Ns[0].Header().Name != testZone {
		t.Errorf("authority %v", reply.Ns)
	}
}

// TestZones_D6: several zones over one view; the longest one that fits answers, and names outside go on.
func TestZones_D6(t *testing.T) {
	f := newFixture(t, "clusterset.local.", "multi.example.", "in.multi.example.")
	f.apply(webImport)
	f.run([]ask{
		{name: "web.shop.svc.clusterset.local.", qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: "web.shop.svc.multi.example.", qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: "web.shop.svc.in.multi.example.", qtype: dns.TypeSRV, answer: "@ SRV 0 50 80 @\n@ SRV 0 50 443 @",
			extra: "web.shop.svc.in.multi.example. A 10.96.0.1\nweb.shop.svc.in.multi.example. AAAA fd00:96::1"},
		{name: "svc.in.multi.example.", qtype: dns.TypeA},
		{name: "in.multi.example.", qtype: dns.TypeTXT},
	})
	outside := 0
	f.Next = plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
		outside++
		return dns.RcodeRefused, nil
	})
	for i, name := range []string{"example.", "local.", "xclusterset.local.", `x\.clusterset.local.`, ".", "clusterset.local.example."} {
		if reply, rcode := f.ask(roomy, name, dns.TypeA); reply != nil || rcode != dns.RcodeRefused || outside != i+1 {
			t.Errorf("%s: answered here: %v", name, reply)
		}
	}
}

// TestRootZone: the plugin may serve the root, where a server block is `.` and no zone is given.
func TestRootZone(t *testing.T) {
	f := newFixture(t, ".")
	f.apply(webImport)
	f.run([]ask{
		{name: "web.shop.svc.", qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: ".", qtype: dns.TypeNS, answer: "@ NS ns.dns.", extra: "ns.dns. A 10.0.0.53\nns.dns. AAAA fd00::53"},
		{name: "svc.", qtype: dns.TypeA},
		{name: "com.", qtype: dns.TypeA, absent: true},
	})
}

// TestNotSynced_D8: before everything was read, nothing is said about what exists.
func TestNotSynced_D8(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport)
	f.zones[0].fall = fall.Root
	health := f.zones[0].source.health
	health.synced.Store(false)
	for _, name := range []string{"web.shop.svc.", "shop.svc.", "svc.", "nope.svc.", "pod.", "x.", "dns.", ""} {
		if reply, rcode := f.ask(roomy, name+testZone, dns.TypeA); reply != nil || rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %s %v", name, dns.RcodeToString[rcode], reply)
		}
	}
	f.run([]ask{
		{name: "dns-version." + testZone, qtype: dns.TypeTXT, answer: "@ 28800 TXT 1.0.0"},
		{name: testZone, qtype: dns.TypeNS, answer: "@ NS ns.dns.clusterset.local.",
			extra: "ns.dns.clusterset.local. A 10.0.0.53\nns.dns.clusterset.local. AAAA fd00::53"},
	})
	if reply, _ := f.ask(roomy, testZone, dns.TypeSOA); len(reply.Answer) != 1 {
		t.Errorf("SOA: %v", reply)
	}
	if _, err := f.Transfer(testZone, 0); err == nil {
		t.Error("a transfer of what is not read yet")
	}
	health.synced.Store(true)
	f.run([]ask{{name: "web.shop.svc." + testZone, qtype: dns.TypeA, answer: "@ A 10.96.0.1"}})
}

// TestOtherQuestions: classes, transfers and ANY.
func TestOtherQuestions(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	for _, q := range []dns.Question{
		{Name: testZone, Qtype: dns.TypeAXFR, Qclass: dns.ClassINET},
		{Name: testZone, Qtype: dns.TypeIXFR, Qclass: dns.ClassINET},
		{Name: "web.shop.svc." + testZone, Qtype: dns.TypeA, Qclass: dns.ClassCHAOS},
		{Name: "web.shop.svc." + testZone, Qtype: dns.TypeA, Qclass: dns.ClassANY},
	} {
		if reply, rcode := f.exchange(f.Multicluster, overTCP, &dns.Msg{Question: []dns.Question{q}}); reply != nil || rcode != dns.RcodeRefused {
			t.Errorf("%s: %s %v", q.String(), dns.RcodeToString[rcode], reply)
		}
	}
	// ANY is answered with the records of one type (RFC 8482 section 4.1).
	f.run([]ask{
		{name: "web.shop.svc." + testZone, qtype: dns.TypeANY, answer: "@ A 10.96.0.1"},
		{name: "db-0.east.db.shop.svc." + testZone, qtype: dns.TypeANY, answer: "@ A 10.1.0.1"},
		{name: "_stats._tcp.db.shop.svc." + testZone, qtype: dns.TypeANY,
			answer: "@ SRV 0 50 9187 db-0.east.db.shop.svc.clusterset.local.\n@ SRV 0 50 9187 db-1.east.db.shop.svc.clusterset.local.",
			extra: "db-0.east.db.shop.svc.clusterset.local. A 10.1.0.1\ndb-0.east.db.shop.svc.clusterset.local. AAAA fd00:1::1\n" +
				"db-1.east.db.shop.svc.clusterset.local. A 10.1.0.2"},
		{name: "_tcp.db.shop.svc." + testZone, qtype: dns.TypeANY},
		{name: "dns-version." + testZone, qtype: dns.TypeANY, answer: "@ 28800 TXT 1.0.0"},
		{name: "nope.shop.svc." + testZone, qtype: dns.TypeANY, absent: true},
	})
}

// TestFallthrough_D9: what does not exist goes on, if that was asked for; what has no records of a type does not.
func TestFallthrough_D9(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport)
	passed := 0
	f.Next = plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
		passed++
		return dns.RcodeRefused, nil
	})
	asked := func(name string) bool {
		before := passed
		f.ask(roomy, name, dns.TypeAAAA)
		return passed > before
	}
	for _, c := range []struct {
		fall   fall.F
		name   string
		passes bool
	}{
		{fall.Zero, "nope.shop.svc.clusterset.local.", false},
		{fall.Root, "nope.shop.svc.clusterset.local.", true},
		{fall.Root, "pod.clusterset.local.", true},
		{fall.Root, "shop.svc.clusterset.local.", false},
		{fall.Root, "_tcp.web.shop.svc.clusterset.local.", false},
		{fall.F{Zones: []string{"shop.svc.clusterset.local."}}, "nope.shop.svc.clusterset.local.", true},
		{fall.F{Zones: []string{"shop.svc.clusterset.local."}}, "NOPE.SHOP.SVC.CLUSTERSET.LOCAL.", true},
		{fall.F{Zones: []string{"shop.svc.clusterset.local."}}, "nope.other.svc.clusterset.local.", false},
	} {
		f.zones[0].fall = c.fall
		if got := asked(c.name); got != c.passes {
			t.Errorf("fallthrough %v: %s passes on: %v", c.fall.Zones, c.name, got)
		}
	}
}

// TestTTL_D13: the TTL is that of every record but dns-version's.
func TestTTL_D13(t *testing.T) {
	for _, ttl := range []uint32{0, 30, 3600} {
		f := newFixture(t, testZone)
		z := f.zones[0]
		z.Zone = view.Zone{Origin: testZone, TTL: ttl}
		z.stand(nil)
		f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
		for _, q := range []struct {
			name  string
			qtype uint16
		}{
			{"web.shop.svc.", dns.TypeA}, {"web.shop.svc.", dns.TypeAAAA}, {"_http._tcp.web.shop.svc.", dns.TypeSRV},
			{"db.shop.svc.", dns.TypeA}, {"db.shop.svc.", dns.TypeSRV}, {"db-0.east.db.shop.svc.", dns.TypeA},
			{"", dns.TypeSOA}, {"", dns.TypeNS}, {"nope.", dns.TypeA}, {"svc.", dns.TypeA},
		} {
			reply, _ := f.ask(overTCP, q.name+testZone, q.qtype)
			for _, rr := range append(append(reply.Answer, reply.Ns...), reply.Extra...) {
				if rr.Header().Ttl != ttl {
					t.Errorf("ttl %d: %v", ttl, rr)
				}
				if soa, ok := rr.(*dns.SOA); ok && soa.Minttl != ttl {
					t.Errorf("ttl %d: %v", ttl, rr)
				}
			}
		}
		reply, _ := f.ask(overTCP, "dns-version."+testZone, dns.TypeTXT)
		if reply.Answer[0].Header().Ttl != 28800 {
			t.Errorf("dns-version: %v", reply.Answer)
		}
	}
}
