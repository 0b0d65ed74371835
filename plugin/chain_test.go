package multicluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/dns64"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/header"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/rewrite"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// behind returns a server whose plugins are those that the directives set up, in this order, and then f.
func (f *fixture) behind(directives ...string) *dnsserver.Server {
	f.t.Helper()
	config := &dnsserver.Config{Zone: ".", ListenHosts: []string{""}, Port: "53", Transport: "dns"}
	for _, directive := range directives {
		name, _, _ := strings.Cut(directive, " ")
		setup, err := caddy.DirectiveAction("dns", name)
		if err != nil {
			f.t.Fatal(err)
		}
		c := caddy.NewTestController("dns", directive)
		c.ServerBlockKeys = []string{"dns://.:53"}
		if err := setup(c); err != nil {
			f.t.Fatal(err)
		}
		config.Plugin = append(config.Plugin, dnsserver.GetConfig(c).Plugin...)
	}
	config.AddPlugin(func(plugin.Handler) plugin.Handler { return f.Multicluster })
	s, err := dnsserver.NewServer("dns://:53", []*dnsserver.Config{config})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// askServer asks a server as a client does.
func (f *fixture) askServer(s *dnsserver.Server, c client, name string, qtype uint16, do bool) *dns.Msg {
	r := new(dns.Msg).SetQuestion(name, qtype)
	if c.size > 0 {
		r.SetEdns0(c.size, do)
	}
	w := &wire{t: f.t, tcp: c.tcp}
	s.ServeDNS(context.WithValue(context.WithValue(context.Background(), dnsserver.Key{}, s), dnsserver.LoopKey{}, 0), w, r)
	return w.reply
}

// dnssecKey makes a key for the zone and returns the path of its files without their extension.
func dnssecKey(t *testing.T) string {
	t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: testZone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), fmt.Sprintf("K%s+%03d+%05d", testZone, key.Algorithm, key.KeyTag()))
	for ext, text := range map[string]string{".key": key.String() + "\n", ".private": key.PrivateKeyString(private)} {
		if err := os.WriteFile(base+ext, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

// TestSharedRecords_D9 has many clients ask at once through plugins that change replies, under the race detector if it is
// on: whoever wrote to what answers share would be seen here, by it or by what the records are afterwards.
func TestSharedRecords_D9(t *testing.T) {
	key := dnssecKey(t)
	for name, directives := range map[string][]string{
		"cache":       {"cache 30"},
		"loadbalance": {"loadbalance", "cache 30"},
		"shuffle":     {"loadbalance"},
		"rewrite":     {"rewrite continue {\nname suffix .alias.example. .clusterset.local. answer auto\n}", "rewrite continue {\nttl exact clusterset.local. 77\n}", "rewrite ttl regex (.*) 99"},
		"dnssec":      {"dnssec clusterset.local {\nkey file " + key + "\n}"},
		"all":         {"dns64 {\nallow_ipv4\ntranslate_all\n}", "loadbalance", "rewrite ttl regex (.*) 99", "cache 30", "header {\nresponse set ra\n}", "dnssec clusterset.local {\nkey file " + key + "\n}"},
		"minimal":     {"minimal", "cache 30"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, testZone)
			f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices + "\n---\n" + bigSlices(3, 50, 2))
			before := transferred(t, f, testZone)
			s := f.behind(directives...)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for _, c := range []client{{}, {size: 1232}, {size: 4096}, overTCP} {
						for _, name := range []string{
							"web.shop.svc." + testZone, "WEB.shop.svc." + testZone, "db.shop.svc." + testZone, big, "_port-1._tcp." + big,
							"nope.shop.svc." + testZone, "svc." + testZone, testZone, "dns-version." + testZone,
						} {
							for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeNS, dns.TypeSOA, dns.TypeTXT, dns.TypeANY} {
								if reply := f.askServer(s, c, name, qtype, i%2 == 0); reply == nil || reply.Rcode == dns.RcodeServerFailure {
									t.Errorf("%s %s: %v", name, dns.TypeToString[qtype], reply)
								}
							}
						}
					}
				})
			}
			wg.Wait()
			if after := transferred(t, f, testZone); !slices.Equal(before, after) {
				t.Error("records were changed by who only had them to read")
			}
		})
	}
}

// TestCache_D7: what was cut from Answer is not cached, so that a client that comes back over TCP gets all.
func TestCache_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, 100, 1))
	s := f.behind("cache 30")
	if reply := f.askServer(s, client{size: 1232}, big, dns.TypeA, false); !reply.Truncated {
		t.Fatal("everything fits")
	}
	if reply := f.askServer(s, overTCP, big, dns.TypeA, false); reply.Truncated || len(reply.Answer) != 300 {
		t.Errorf("TCP: %d records, TC %v", len(reply.Answer), reply.Truncated)
	}
	if reply := f.askServer(s, client{size: 512}, big, dns.TypeA, false); !reply.Truncated || len(reply.Answer) == 0 {
		t.Errorf("UDP after TCP: %d records, TC %v", len(reply.Answer), reply.Truncated)
	}
}

// TestRewrite_D9: a name that was rewritten comes back as it was asked for.
func TestRewrite_D9(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport)
	s := f.behind("rewrite name suffix .alias.example. .clusterset.local. answer auto")
	reply := f.askServer(s, roomy, "web.shop.svc.alias.example.", dns.TypeA, false)
	if got := texts(reply.Answer); !slices.Equal(got, []string{"web.shop.svc.alias.example. 5 IN A 10.96.0.1"}) {
		t.Errorf("%v", got)
	}
}

// TestDNSSEC_D9: signed answers and denials are there.
func TestDNSSEC_D9(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	s := f.behind("dnssec clusterset.local {\nkey file " + dnssecKey(t) + "\n}")
	for _, q := range []test.Case{
		{Qname: "web.shop.svc." + testZone, Qtype: dns.TypeA}, {Qname: "db.shop.svc." + testZone, Qtype: dns.TypeSRV},
		{Qname: "nope.shop.svc." + testZone, Qtype: dns.TypeA}, {Qname: "svc." + testZone, Qtype: dns.TypeA},
	} {
		reply := f.askServer(s, roomy, q.Qname, q.Qtype, true)
		signed := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
		if !slices.ContainsFunc(append(reply.Answer, reply.Ns...), signed) {
			t.Errorf("%s: no signature in %v", q.Qname, reply)
		}
	}
}
