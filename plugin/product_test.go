package multicluster

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

// TestProduct_X7: a service of more ports x endpoints than any message carries answers with as many as fit, whatever is asked for,
// and each of its endpoints by its own name. That answers differ is no change: the serial stays.
func TestProduct_X7(t *testing.T) {
	const clusters, endpoints, ports = 4, 1000, 1000
	f := newFixture(t, testZone)
	f.apply(bigSlices(clusters, endpoints, ports))
	serial := func() uint32 {
		reply, _ := f.ask(roomy, testZone, dns.TypeSOA)
		return reply.Answer[0].(*dns.SOA).Serial
	}
	before := serial()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	allocated, questions := m.TotalAlloc, uint64(0)
	for _, c := range []client{{}, {size: 1232}, {size: 4096}, {size: 20000}, {size: 65535}, overTCP} {
		limit := max(int(c.size), dns.MinMsgSize)
		if c.tcp {
			limit = dns.MaxMsgSize
		}
		for range 5 {
			for _, q := range []struct {
				name  string
				qtype uint16
				total int
			}{
				{big, dns.TypeA, clusters * endpoints},
				{big, dns.TypeANY, clusters * endpoints},
				{big, dns.TypeSRV, clusters * endpoints * ports},
				{"BIG.shop.svc.clusterset.local.", dns.TypeSRV, clusters * endpoints * ports},
				{"_port-7._tcp." + big, dns.TypeSRV, clusters * endpoints},
				{"_port-999._tcp." + big, dns.TypeSRV, clusters * endpoints},
			} {
				reply, _ := f.ask(c, q.name, q.qtype)
				if len(reply.Answer) == 0 {
					t.Fatalf("%s: nothing", q.name)
				}
				checkCut(t, reply, q.total, min(limit, 65507+c.over()))
				questions++
			}
		}
	}
	runtime.ReadMemStats(&m)
	each := (m.TotalAlloc - allocated) / questions
	t.Logf("%d KiB allocated for each question", each>>10)
	if each > 2<<20 { // packing, unpacking and comparing are in it
		t.Errorf("%d KiB allocated for each question", each>>10)
	}
	for c := range clusters {
		for e := range endpoints {
			name := fmt.Sprintf("10-%d-%d-%d.cluster-%d.%s", c+1, e/250, e%250+1, c, big)
			if reply, _ := f.ask(client{}, name, dns.TypeA); len(reply.Answer) != 1 {
				t.Fatalf("%s: %v", name, reply)
			}
		}
	}
	if after := serial(); after != before {
		t.Errorf("the serial moved on from %d to %d", before, after)
	}
}

// over is how much more than a datagram a client takes at most.
func (c client) over() int {
	if c.tcp {
		return dns.MaxMsgSize
	}
	return 0
}

// TestTransferOfProduct_X7: a transfer has all records, and they are those that questions are answered with in turn.
func TestTransferOfProduct_X7(t *testing.T) {
	const clusters, endpoints, ports = 3, 200, 30
	f := newFixture(t, testZone)
	f.apply(bigSlices(clusters, endpoints, ports))
	got := transferred(t, f, testZone)
	if twice := len(got) - len(slices.Compact(slices.Clone(got))); twice > 0 {
		t.Errorf("%d records are there twice", twice)
	}
	answered := map[string]bool{}
	ask := func(name string, qtype uint16, total int) {
		for seen := 0; seen < total; {
			before := len(answered)
			reply, _ := f.ask(overTCP, name, qtype)
			for _, text := range texts(reply.Answer) {
				answered[text] = true
			}
			if seen += len(answered) - before; len(answered) == before {
				t.Fatalf("%s: %d of %d records, and no other", name, seen, total)
			}
		}
	}
	ask(big, dns.TypeA, clusters*endpoints)
	ask(big, dns.TypeSRV, clusters*endpoints*ports)
	for p := range ports {
		ask(fmt.Sprintf("_port-%d._tcp.%s", p, big), dns.TypeSRV, clusters*endpoints)
	}
	for c := range clusters {
		for e := range endpoints {
			ask(fmt.Sprintf("10-%d-%d-%d.cluster-%d.%s", c+1, e/250, e%250+1, c, big), dns.TypeA, 1)
		}
	}
	got = slices.DeleteFunc(got, func(text string) bool { return answered[text] })
	if len(answered) != clusters*endpoints*(2+2*ports) || len(got) != 4 { // NS with A and AAAA of its target, and dns-version
		t.Errorf("%d records answered; transferred besides: %d, %q", len(answered), len(got), got[:min(len(got), 9)])
	}
}

// firsts asks a number of times, and returns how often each address or target came first.
func firsts(times int, ask func() *dns.Msg) map[string]int {
	first := map[string]int{}
	for range times {
		first[dataOf(ask().Answer[0])]++
	}
	return first
}

func dataOf(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String()
	case *dns.SRV:
		return fmt.Sprint(rr.Port, rr.Target)
	}
	return rr.String()
}

// TestTurns_D17: without another plugin each address of a set comes first equally often, over UDP and TCP, cut or whole; a client
// that asks again over TCP what was cut takes nobody's turn.
func TestTurns_D17(t *testing.T) {
	const n = 300
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, n/3, 1) + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	f.apply("kind: ServiceImport\nmetadata: {name: two, namespace: shop}\nspec: {type: ClusterSetIP, ips: [10.96.0.1, 10.96.0.2], ports: [{name: a, port: 1}, {name: b, port: 2}]}")
	for _, q := range []struct {
		name   string
		qtype  uint16
		client client
		n      int
	}{
		{"two.shop.svc." + testZone, dns.TypeA, client{}, 2},
		{"two.shop.svc." + testZone, dns.TypeSRV, roomy, 2},
		{"db.shop.svc." + testZone, dns.TypeA, client{}, 5},
		{"db.shop.svc." + testZone, dns.TypeSRV, roomy, 7},
		{"_pg._tcp.db.shop.svc." + testZone, dns.TypeSRV, roomy, 5},
		{big, dns.TypeA, overTCP, n},
		{big, dns.TypeSRV, overTCP, n},
		{big, dns.TypeA, client{}, n},
		{big, dns.TypeSRV, client{size: 1232}, n},
		{"_port-0._tcp." + big, dns.TypeSRV, client{}, n},
	} {
		t.Run(fmt.Sprintf("%s %s %+v", q.name, dns.TypeToString[q.qtype], q.client), func(t *testing.T) {
			first := firsts(2*q.n, func() *dns.Msg {
				reply, _ := f.ask(q.client, q.name, q.qtype)
				if reply.Truncated {
					f.ask(overTCP, q.name, q.qtype)
				}
				return reply
			})
			if often := slices.Compact(slices.Sorted(maps.Values(first))); len(first) != q.n || len(often) != 1 {
				t.Errorf("%d of %d came first, this often: %v", len(first), q.n, often)
			}
		})
	}
}

// TestTurnsBehind_D9: turns and the plugins that reorder, keep and sign answers get along.
func TestTurnsBehind_D9(t *testing.T) {
	base := dnssecKey(t)
	key := readKey(t, base)
	for name, directives := range map[string][]string{
		"loadbalance": {"loadbalance"},
		"cache":       {"cache 30"},
		"dnssec":      {"dnssec clusterset.local {\nkey file " + base + "\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, testZone)
			f.apply(bigSlices(2, 10, 1))
			s := f.behind(directives...)
			first := firsts(200, func() *dns.Msg { return checked(t, f, s, name, key) })
			if all := 20; name == "cache" && len(first) != 1 || name != "cache" && len(first) != all {
				t.Errorf("%d of %d came first", len(first), all)
			}
		})
	}
}

// checked asks for the addresses of big, which has to be answered with all of them, signed if there is a key.
func checked(t *testing.T, f *fixture, s *dnsserver.Server, name string, key *dns.DNSKEY) *dns.Msg {
	t.Helper()
	reply := f.askServer(s, roomy, big, dns.TypeA, name == "dnssec")
	var set []dns.RR
	var sig *dns.RRSIG
	for _, rr := range reply.Answer {
		if rr.Header().Rrtype == dns.TypeA {
			set = append(set, rr)
		} else {
			sig = rr.(*dns.RRSIG)
		}
	}
	if len(set) != 20 || name == "dnssec" && sig == nil {
		t.Fatalf("%v", reply)
	}
	if sig != nil {
		if err := sig.Verify(key, set); err != nil {
			t.Fatal(err)
		}
	}
	return reply
}

func readKey(t *testing.T, base string) *dns.DNSKEY {
	t.Helper()
	file, err := os.Open(base + ".key")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rr, err := dns.ReadRR(bufio.NewReader(file), base)
	if err != nil {
		t.Fatal(err)
	}
	return rr.(*dns.DNSKEY)
}

// TestAllocations_D17: a turn allocates nothing but the message.
func TestAllocations_D17(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, 100, 3))
	for _, name := range []string{big, "_port-1._tcp." + big} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
			for _, size := range []uint16{512, 1232, 65535} {
				r := new(dns.Msg).SetQuestion(name, qtype)
				r.SetEdns0(size, false)
				ctx, w := t.Context(), &discard{}
				if n := testing.AllocsPerRun(500, func() { _, _ = f.ServeDNS(ctx, w, r) }); n != 1 {
					t.Errorf("%s %s %d: %v allocations", name, dns.TypeToString[qtype], size, n)
				}
			}
		}
	}
}

// BenchmarkProduct is the handler with a service of 1,000 ports x 5,000 endpoints: "packings" is the time of an answer as a multiple of that
// of packing 64 KiB of the same records.
func BenchmarkProduct(b *testing.B) {
	f := newFixture(b, testZone)
	f.apply(bigSlices(5, 1000, 1000))
	ctx := b.Context()
	for _, q := range []struct {
		name  string
		qname func(i int) string
		qtype uint16
	}{
		{"A", func(int) string { return big }, dns.TypeA},
		{"SRV", func(int) string { return big }, dns.TypeSRV},
		{"SRV of a port", func(int) string { return "_port-7._tcp." + big }, dns.TypeSRV},
		{"SRV of all ports", func(i int) string { return fmt.Sprintf("_port-%d._tcp.%s", i%1000, big) }, dns.TypeSRV},
	} {
		packing := timeOfPacking(b, f, q.qname(0), q.qtype)
		for _, size := range []uint16{1232, 65535} {
			b.Run(fmt.Sprintf("%s/%d", q.name, size), func(b *testing.B) {
				w, i := &discard{}, 0
				questions := make([]*dns.Msg, 1000)
				for i := range questions {
					questions[i] = new(dns.Msg).SetQuestion(q.qname(i), q.qtype)
					questions[i].SetEdns0(size, false)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f.ServeDNS(ctx, w, questions[i%len(questions)]); err != nil {
						b.Fatal(err)
					}
					i++
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/packing, "packings")
			})
		}
	}
}

// timeOfPacking returns the nanoseconds that packing the answer to a question over TCP takes.
func timeOfPacking(b *testing.B, f *fixture, name string, qtype uint16) float64 {
	reply, _ := f.ask(overTCP, name, qtype)
	reply.Compress = true
	const times = 50
	start := time.Now()
	for range times {
		if _, err := reply.Pack(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(time.Since(start)) / times
}
