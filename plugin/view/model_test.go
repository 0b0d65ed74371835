package view

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// modelNames is what SPEC D3 says of the names of endpoints, read off the objects in the plainest way.
func (w *world) modelNames() []string {
	var all []string
	for id, o := range w.slices {
		if imp, ok := w.imports[o.service+"."+id.Namespace]; !ok || !imp.Headless || o.slice.cluster == "" {
			continue
		}
		for i := range o.slice.len() {
			addr, _ := netip.AddrFromSlice(o.slice.addr(i))
			host := o.slice.host(i)
			if host == "" {
				host = strings.NewReplacer(".", "-", ":", "-").Replace(addr.String())
			}
			all = append(all, fmt.Sprintf("%s.%s.%s.%s.svc.%s %s", host, o.slice.cluster, o.service, id.Namespace, zone.Origin, addr))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestNamesOfEndpoints_D3: whatever happened, each endpoint answers at its name, every address once, and no other name does.
func TestNamesOfEndpoints_D3(t *testing.T) {
	for seed := range uint64(50) {
		w := newWorld(seed)
		for step := range 100 {
			w.step()
			var got []string
			services := w.view.Snapshot()
			for _, s := range services {
				for rrs := range s.Walk(zone) {
					for _, rr := range rrs {
						if a, ok := rr.(*dns.A); ok && strings.Count(a.Hdr.Name, ".") > strings.Count("svc.ns.svc."+zone.Origin, ".") {
							got = append(got, a.Hdr.Name+" "+a.A.String())
						}
					}
				}
			}
			slices.Sort(got)
			if want := w.modelNames(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d:\n%s\nnot\n%s", seed, step, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestHostname: the label made from an address is taken apart into that address, and no other spelling of it is.
func TestHostname(t *testing.T) {
	for _, text := range []string{"10.0.0.1", "0.0.0.0", "255.255.255.255", "192.168.10.200", "::", "::1", "fe80::", "2001:db8::1",
		"2001:db8:0:1:1:1:1:1", "1:2:3:4:5:6:7:8", "2001:0:0:1::1", "fd00:1234:5678:9abc:def0:1234:5678:9abc"} {
		addr := netip.MustParseAddr(text)
		label := string(appendHostname(nil, addr.AsSlice()))
		if h := parseHostname(label); h.addr != addr {
			t.Errorf("%s became %s, which is taken for %v", text, label, h.addr)
		}
	}
	for _, label := range []string{"", "a", "-", "web-0", "db-0", "10-0-0", "10-0-0-256", "10-0-0-01", "10-0-0-1-", "-10-0-0-1", "10--0-1", "10-0-0-0-1",
		"fd00-0-0-0-0-0-0-1", "0-0-0-0-0-0-0-1", "fd00--0", "--1", "2001-DB8--1", "0--ffff-102-304", strings.Repeat("a-", 32), strings.Repeat("1", 63)} {
		h := parseHostname(label)
		if h.addr.IsValid() && string(appendHostname(nil, h.addr.AsSlice())) != label {
			t.Errorf("%s is taken for %v", label, h.addr)
		}
	}
}

// modelBest is what SPEC P3 says of the addresses of a headless service: those of the lowest rank that has any.
func (w *world) modelBest(ns, service string) []string {
	best := map[int][]string{}
	for id, o := range w.slices {
		for i := range o.slice.len() {
			if addr, _ := netip.AddrFromSlice(o.slice.addr(i)); id.Namespace == ns && o.service == service {
				best[o.slice.rank] = append(best[o.slice.rank], addr.String())
			}
		}
	}
	if len(best) == 0 {
		return nil
	}
	all := best[slices.Min(slices.Collect(maps.Keys(best)))]
	slices.Sort(all)
	return slices.Compact(all)
}

// TestRanks_P3: whatever happened, the name of a headless service stands for the ready endpoints of the lowest rank that has
// any, and so do its SRV records.
func TestRanks_P3(t *testing.T) {
	for seed := range uint64(50) {
		w := newWorld(seed)
		for step := range 100 {
			w.step()
			services := w.view.Snapshot()
			for _, s := range services {
				if !s.Headless {
					continue
				}
				var got []string
				for _, rr := range s.In(zone).A().All() {
					got = append(got, rr.(*dns.A).A.String())
				}
				slices.Sort(got)
				want := w.modelBest(s.Namespace(), s.Name())
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, step %d: %v, want %v", seed, step, got, want)
				}
				for _, rr := range s.In(zone).SRV().extra {
					if !slices.Contains(want, rr.(*dns.A).A.String()) {
						t.Fatalf("seed %d, step %d: %v is in SRV, not in %v", seed, step, rr, want)
					}
				}
			}
		}
	}
}

// twice reports whether some headless service has two slices that hold the same endpoint with different ports.
func (w *world) twice() bool {
	type endpoint struct{ service, cluster, host, addr string }
	ports := map[endpoint][]Port{}
	for id, o := range w.slices {
		for i := range o.slice.len() {
			e := endpoint{o.service + "." + id.Namespace, o.slice.cluster, o.slice.host(i), string(o.slice.addr(i))}
			if other, ok := ports[e]; ok && !slices.Equal(other, o.slice.ports) {
				return true
			}
			ports[e] = o.slice.ports
		}
	}
	return false
}
