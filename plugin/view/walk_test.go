package view

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// hostnamesOf returns n endpoints with hostnames, all of one address or each of its own.
func hostnamesOf(n int, oneAddress bool) []Endpoint {
	all := make([]Endpoint, n)
	for i := range all {
		addr := netip.AddrFrom4([4]byte{10, 1, 2, 3})
		if !oneAddress {
			addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		all[i] = Endpoint{addr, fmt.Sprintf("host-%06d", i)}
	}
	return all
}

// follow has a view follow a slice that changes, in which everything was in another one before, and transfers everything. It
// returns how many records there are.
func follow(endpoints []Endpoint) (records int) {
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	v.SetSlice("ns", "db", NewSlice("a", "a", 0, nil, slices.Clone(endpoints)))
	v.SetSlice("ns", "db", NewSlice("b", "a", 0, nil, slices.Clone(endpoints)))
	v.SetSlice("ns", "db", NewSlice("a", "a", 0, nil, slices.Clone(endpoints[1:])))
	for rrs := range v.Service("db.ns").Walk(zone) {
		records += len(rrs)
	}
	return records
}

// TestOneAddress_X7: many hostnames of one address cost about as much as if each had an address of its own, to follow and to
// transfer. The bound is far from what either takes on a busy machine, and from comparing every endpoint with every other.
func TestOneAddress_X7(t *testing.T) {
	const n, times = 100_000, 50
	measure := func(oneAddress bool, addresses int) time.Duration {
		endpoints, start := hostnamesOf(n, oneAddress), time.Now()
		if records := follow(endpoints); records != n+addresses {
			t.Fatalf("%d records, not %d", records, n+addresses)
		}
		return time.Since(start)
	}
	each := measure(false, n)
	one := measure(true, 1)
	if t.Logf("%d hostnames of as many addresses took %v, of one address %v", n, each, one); one > times*each {
		t.Errorf("%d hostnames of one address took %v, of as many addresses %v", n, one, each)
	}
}

// TestSpellings_D12: an endpoint whose hostname is what its address makes is the one without a hostname, wherever each of the two
// is; with another address it is another.
func TestSpellings_D12(t *testing.T) {
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	for i, text := range []string{"10.0.0.1", "fd00::1", "::"} {
		addr := netip.MustParseAddr(text)
		hostname := string(appendHostname(nil, addr.AsSlice()))
		v.SetSlice("ns", "db", NewSlice(fmt.Sprint("a", i), "a", 0, nil, []Endpoint{{addr, hostname}, {addr, ""}, {addr.Next(), hostname}}))
		v.SetSlice("ns", "db", NewSlice(fmt.Sprint("b", i), "a", 0, nil, []Endpoint{{addr, ""}}))
		v.SetSlice("ns", "db", NewSlice(fmt.Sprint("c", i), "a", 0, nil, []Endpoint{{addr, hostname}}))
		var got []string
		for rrs := range v.Service("db.ns").Walk(zone) {
			for _, rr := range rrs {
				if rr.Header().Name == hostname+".a.db.ns.svc."+zone.Origin {
					got = append(got, rr.String())
				}
			}
		}
		node, _ := v.Service("db.ns").In(zone).Below(hostname + ".a")
		var want []dns.RR
		for _, set := range []*RRset{node.A(), node.AAAA()} {
			if set.Len() > 0 {
				want = append(want, set.All()...)
			}
		}
		if slices.Sort(got); len(got) != 2 || !slices.Equal(got, texts(want)) {
			t.Errorf("transferred\n%q\nanswered\n%q", got, texts(want))
		}
		changes := v.Changes()
		if v.DeleteSlice("ns", fmt.Sprint("b", i)); v.Changes() != changes {
			t.Errorf("%s: which of two spellings is there is no change", text)
		}
	}
}

// BenchmarkWalk is a transfer of a headless service of 50 slices: the time is that of each endpoint.
func BenchmarkWalk(b *testing.B) {
	for _, oneAddress := range []bool{false, true} {
		b.Run(fmt.Sprintf("one address %v", oneAddress), func(b *testing.B) {
			const each, all = 1000, 50
			v := New()
			v.SetImport("ns", "db", Import{Headless: true})
			for i := range all {
				v.SetSlice("ns", "db", NewSlice(fmt.Sprint(i), "a", 0, nil, hostnamesOf(all*each, oneAddress)[i*each:(i+1)*each]))
			}
			for b.Loop() {
				for rrs := range v.Service("db.ns").Walk(zone) {
					_ = rrs
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(each*all), "ns/endpoint")
		})
	}
}
