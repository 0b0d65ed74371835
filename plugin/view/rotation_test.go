package view

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// manyPorts are n named ports.
func manyPorts(n int) []Port {
	all := make([]Port, n)
	for i := range all {
		all[i] = Port{fmt.Sprintf("p%d", i), "tcp", uint16(i + 1)}
	}
	return all
}

// manyEndpoints are n endpoints of one family whose names are equally long; hostname names them all, unless it is empty.
func manyEndpoints(cluster, n int, six bool, hostname string) []Endpoint {
	all := make([]Endpoint, n)
	for i := range all {
		all[i] = Endpoint{netip.AddrFrom4([4]byte{10, byte(100 + cluster), byte(100 + i/100), byte(100 + i%100)}), hostname}
		if six {
			all[i].Addr = netip.AddrFrom16([16]byte{0: 0xfd, 1: byte(16 + cluster), 13: byte(16 + i/100), 14: 1, 15: byte(16 + i%100)})
		}
	}
	return all
}

// manyOf returns the records of a headless service with slices of so many endpoints, one in each cluster and family.
func manyOf(clusters, endpoints, ports int, families ...bool) (*View, *Records) {
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	for c := range clusters {
		for _, six := range families {
			name := fmt.Sprintf("s%d-%v", c, six)
			v.SetSlice("ns", "db", NewSlice(name, fmt.Sprintf("c%d", c), 0, manyPorts(ports), manyEndpoints(c, endpoints, six, "")))
		}
	}
	return v, v.Service("db.ns").In(zone)
}

const four, six = false, true

// TestTurns_D17: in as many answers as a set has records each comes first once, and is in as many answers as every other, whether
// answers are whole, cut, or cut from a set that no message carries (X7), over UDP and over TCP. Nothing but the turn changes.
func TestTurns_D17(t *testing.T) {
	const room512, room1232, room20000, roomTCP = 400, 1100, 19900, 65000
	for name, c := range map[string]struct {
		clusters, endpoints, ports int
		family                     bool
		set                        func(*Records) *RRset
		room                       int
		cut                        bool
	}{
		"two A":                 {1, 2, 1, four, (*Records).A, room1232, false},
		"A, whole":              {2, 25, 1, four, (*Records).A, room1232, false},
		"AAAA, whole":           {2, 15, 1, six, (*Records).AAAA, room1232, false},
		"SRV, whole":            {2, 3, 2, four, (*Records).SRV, room1232, false},
		"SRV, whole, TCP":       {2, 100, 3, four, (*Records).SRV, roomTCP, false},
		"A, cut":                {3, 100, 1, four, (*Records).A, room1232, true},
		"A, cut into parts":     {1, 100, 1, four, (*Records).A, room512, true},
		"SRV, cut":              {3, 100, 3, four, (*Records).SRV, room1232, true},
		"A, windowed":           {5, 840, 1, four, (*Records).A, room1232, true},
		"A, windowed, large":    {5, 840, 1, four, (*Records).A, room20000, true},
		"AAAA, windowed":        {3, 800, 1, six, (*Records).AAAA, room512, true},
		"AAAA, windowed, large": {3, 800, 1, six, (*Records).AAAA, room20000, true},
		"SRV, windowed":         {3, 100, 17, four, (*Records).SRV, room1232, true},
		"SRV, windowed, large":  {3, 100, 17, four, (*Records).SRV, room20000, true},
	} {
		t.Run(name, func(t *testing.T) {
			v, r := manyOf(c.clusters, c.endpoints, c.ports, c.family)
			changes, set := v.Changes(), c.set(r)
			n := set.Len()
			if want := c.clusters * c.endpoints; n != want && n != want*c.ports {
				t.Fatalf("%d records", n)
			}
			first, seen, last := map[any]int{}, map[any]int{}, map[any]int{}
			for i := range n {
				answer, extra, cut := set.Fit(50, c.room)
				if cut != c.cut || cut && len(extra) > 0 {
					t.Fatalf("cut %v, %d in Additional", cut, len(extra))
				}
				first[data(answer[0])]++
				size := int32(0)
				for _, rr := range answer {
					data := data(rr)
					if seen[data]++; last[data] == i+1 {
						t.Fatalf("%s twice in one answer", rr)
					}
					last[data] = i + 1
					size += recordSize(rr)
				}
				if space := c.room - int(size); space < 0 || cut && space >= int(recordSize(answer[0])) {
					t.Fatalf("%d records of %d octets for %d", len(answer), size, c.room)
				}
			}
			once, often := counts(first), counts(seen)
			if len(first) != n || len(once) != 1 || len(seen) != n || len(often) != 1 {
				t.Errorf("of %d records %d came first, this often: %v; %d came at all: %v", n, len(first), once, len(seen), often)
			}
			if v.Changes() != changes {
				t.Error("a turn is no change")
			}
		})
	}
}

// data returns what of a record differs within a set.
func data(rr dns.RR) any {
	switch rr := rr.(type) {
	case *dns.A:
		return [4]byte(rr.A)
	case *dns.AAAA:
		return [16]byte(rr.AAAA)
	}
	return [2]any{rr.(*dns.SRV).Port, rr.(*dns.SRV).Target}
}

// counts returns the different values.
func counts(m map[any]int) []int {
	all := []int{}
	for _, n := range m {
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestTurnsAtOnce_D17: the same holds for all who ask at once, together.
func TestTurnsAtOnce_D17(t *testing.T) {
	for name, set := range map[string]func(*Records) *RRset{"A": (*Records).A, "SRV": (*Records).SRV} {
		for _, room := range []int{400, 1100, 19900} {
			t.Run(fmt.Sprintf("%s/%d", name, room), func(t *testing.T) {
				const askers = 4
				_, r := manyOf(5, 840, 2, four)
				n := set(r).Len()
				firsts := make(chan map[any]int)
				for range askers {
					go func() {
						first := map[any]int{}
						for range n / askers {
							answer, _, _ := set(r).Fit(50, room)
							first[data(answer[0])]++
						}
						firsts <- first
					}()
				}
				all := map[any]int{}
				for range askers {
					for text, times := range <-firsts {
						all[text] += times
					}
				}
				if len(all) != n {
					t.Errorf("%d of %d records came first in %d answers", len(all), n, n)
				}
			})
		}
	}
}

// TestDifferentPorts_X7: where clusters, or the families of one endpoint, have different ports, a set that is made a few records at
// a time has each record once, and so has a transfer.
func TestDifferentPorts_X7(t *testing.T) {
	http, grpc, stats := Port{"http", "tcp", 80}, Port{"grpc", "tcp", 81}, Port{"stats", "tcp", 90}
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	one := []Endpoint{{netip.MustParseAddr("10.0.0.1"), "web-0"}, {netip.MustParseAddr("10.0.0.2"), ""}}
	v.SetSlice("ns", "db", NewSlice("a4", "a", 0, []Port{http, grpc}, slices.Clone(one)))
	v.SetSlice("ns", "db", NewSlice("a6", "a", 0, []Port{stats, http}, []Endpoint{{netip.MustParseAddr("fd00::1"), "web-0"}}))
	v.SetSlice("ns", "db", NewSlice("a4-too", "a", 0, []Port{http, grpc}, slices.Clone(one)))
	v.SetSlice("ns", "db", NewSlice("b", "b", 0, []Port{http, {"other", "tcp", 80}}, []Endpoint{{netip.MustParseAddr("10.0.1.1"), ""}}))
	v.SetSlice("ns", "db", NewSlice("c", "c", 0, nil, []Endpoint{{netip.MustParseAddr("10.0.2.1"), ""}}))
	r := v.Service("db.ns").In(zone)
	const zero, two, b = "web-0.a", "10-0-0-2.a", "10-0-1-1.b"
	for sub, want := range map[string][]string{
		"":            {"80 " + two, "80 " + b, "80 " + zero, "81 " + two, "81 " + zero, "90 " + zero},
		"_http._tcp":  {"80 " + two, "80 " + b, "80 " + zero},
		"_grpc._tcp":  {"81 " + two, "81 " + zero},
		"_stats._tcp": {"90 " + zero},
		"_other._tcp": {"80 " + b},
	} {
		services, whole := r.services(r.owner, everyPort), r.SRV()
		if sub != "" {
			node, _ := r.Below(sub)
			services, whole = r.services(node.port.name, called(node.port.Port)), node.SRV()
		}
		if got := short(whole.All()); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", sub, got, want)
		}
		for first := range services.len() {
			for most := 1; most <= services.len()+1; most++ {
				rrs := services.make(first, most, maxSet)
				if len(rrs) != min(most, len(want)) {
					t.Errorf("%s: %d records from %d on, not %d", sub, len(rrs), first, most)
				}
				if got := short(rrs); most >= len(want) && !slices.Equal(got, want) {
					t.Errorf("%s from %d on: %q, not %q", sub, first, got, want)
				}
			}
		}
	}
}

// short returns the numbers and targets of SRV records, sorted.
func short(rrs []dns.RR) []string {
	all := []string{}
	for _, rr := range rrs {
		srv := rr.(*dns.SRV)
		all = append(all, fmt.Sprintf("%d %s", srv.Port, srv.Target[:len(srv.Target)-len(".db.ns.svc."+zone.Origin)]))
	}
	slices.Sort(all)
	return all
}

// TestWholeNames_X7: the addresses of a target are all in Additional, or none of them; as many as are there are no more than a message has.
func TestWholeNames_X7(t *testing.T) {
	for _, c := range []struct{ sharing, extra int }{{1, 1}, {2, 2}, {4000, 4000}, {5000, 0}} {
		v := New()
		v.SetImport("ns", "db", Import{Headless: true})
		for i := 0; i < c.sharing; i += 1000 {
			n := min(1000, c.sharing-i)
			v.SetSlice("ns", "db", NewSlice(fmt.Sprint(i), "a", 0, manyPorts(1), manyEndpoints(i/1000, n, four, "one")))
		}
		r := v.Service("db.ns").In(zone)
		if srv := r.SRV(); srv.Len() != 1 || len(srv.extra) != c.extra {
			t.Errorf("%d endpoints of one name: %d records, %d in Additional", c.sharing, srv.Len(), len(srv.extra))
		}
		node, _ := r.Below("one.a")
		if a := node.A(); a.Len() != c.sharing || a != node.A() {
			t.Errorf("%d endpoints of one name: %d addresses", c.sharing, a.Len())
		}
	}
}

// heap returns the octets in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMemory_X7: whatever is multiplied with what, asking for every name there is makes the view keep no more than keepBits
// says, and transferring everything makes it keep nothing.
func TestMemory_X7(t *testing.T) {
	v, r := manyOf(2, 250, 600, four, six)
	before := heap()
	asked, transferred := 0, 0
	for rrs := range r.service.Walk(zone) {
		transferred += len(rrs)
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("a transfer of %d records made the view grow by %d KiB", transferred, grown>>10)
	}
	const targets, ports = 2 * 2 * 250, 600
	if want := targets + targets + 2*ports*targets; transferred != want { // addresses twice; SRV of the service, and of each port
		t.Errorf("%d records transferred, not %d", transferred, want)
	}
	ask := func(sets ...*RRset) {
		for _, set := range sets {
			for _, room := range []int{400, 1100, 65000} {
				if set.Len() > 0 {
					answer, _, _ := set.Fit(50, room)
					asked += len(answer)
				}
			}
		}
	}
	high := 0
	for i := range ports {
		r := v.Service("db.ns").In(zone)
		ask(r.A(), r.AAAA(), r.SRV())
		node, ok := r.Below(fmt.Sprintf("_p%d._tcp", i))
		if !ok {
			t.Fatal("a port is missing")
		}
		ask(node.SRV())
		if i%100 == 99 {
			high = max(high, heap()-before)
		}
	}
	t.Logf("%d records transferred; %d asked for, the heap grew by %d MiB at most", transferred, asked, high>>20)
	if limit := 1 << keepBits; high > limit {
		t.Errorf("the view grew by %d MiB", high>>20)
	}
	if asked < ports*targets {
		t.Errorf("only %d records came", asked)
	}
}

// TestForgetting_X7: when as much was built as is kept, everything is forgotten, and built anew. A clone forgets by itself.
func TestForgetting_X7(t *testing.T) {
	v, r := manyOf(2, 100, 3, four)
	want := texts(r.A().All())
	clone := v.Clone()
	for _, view := range []*View{v, clone} {
		s := view.Service("db.ns")
		s.In(zone).A()
		v.keeper.add(1 << keepBits)
		view.Service("db.ns")
		for deadline := time.Now().Add(10 * time.Second); s.records.Load() != nil; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("nothing is forgotten")
			}
		}
		if got := texts(view.Service("db.ns").In(zone).A().All()); !slices.Equal(got, want) {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func texts(rrs []dns.RR) []string {
	all := []string{}
	for _, rr := range rrs {
		all = append(all, rr.String())
	}
	slices.Sort(all)
	return all
}
