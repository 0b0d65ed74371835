package view

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shape is a service that somebody may make, and everything that can be asked of it.
type shape struct {
	slices []*Slice
	names  []string // below that of the service
}

// label is a long and unique DNS label.
func label(what string, i int) string {
	return fmt.Sprintf("%s-%06d-%s", what, i, strings.Repeat("x", 40))
}

// longPorts are n named ports.
func longPorts(n int) (all []Port, names []string) {
	for i := range n {
		all = append(all, Port{label("p", i), "tcp", uint16(i + 1)})
		names = append(names, "_"+all[i].Name+"._tcp")
	}
	return all, names
}

// shapes are services of which something multiplies, or is long.
func shapes() map[string]shape {
	const cluster = "cluster-0"
	four := func(i, j, k int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i), byte(j), byte(k)}) }
	all := map[string]shape{}
	add := func(what string, s *Slice, names ...string) {
		sh := all[what]
		sh.slices, sh.names = append(sh.slices, s), append(sh.names, names...)
		all[what] = sh
	}
	ports, portNames := longPorts(200)
	few, fewNames := longPorts(3)
	for c := range 40 {
		other := slices.Concat(few[:1], []Port{{label("own", c), "tcp", uint16(1000 + c)}}) // so that no two clusters have as many
		var endpoints, same, hosts []Endpoint
		var names, hostNames []string
		for i := range 250 {
			id := fmt.Sprintf("cluster-%d", c)
			endpoints = append(endpoints, Endpoint{Addr: four(c, i, 1)})
			names = append(names, fmt.Sprintf("10-%d-%d-1.%s", c, i, id))
			hosts = append(hosts, Endpoint{four(c, i, 2), label("h", i)})
			hostNames = append(hostNames, label("h", i)+"."+id)
			same = append(same, Endpoint{four(c, i, 3), label("one", 0)})
		}
		name, id := fmt.Sprint("s", c), fmt.Sprintf("cluster-%d", c)
		if c < 4 {
			add("endpoints", NewSlice(name, id, 0, few, slices.Clone(endpoints)), names...)
			add("hostnames", NewSlice(name, id, 0, few, slices.Clone(hosts)), hostNames...)
			add("hostnames of several slices", NewSlice(name, cluster, 0, few, slices.Clone(hosts)), hostNames[:min(len(hostNames), 250*(1-min(c, 1)))]...)
		}
		add("one hostname", NewSlice(name, cluster, 0, few, slices.Clone(same)), label("one", 0)+"."+cluster)
		add("ports x endpoints", NewSlice(name, id, 0, ports, slices.Clone(endpoints)))
		add("different ports", NewSlice(name, id, 0, slices.SortedFunc(slices.Values(slices.Concat(ports, other)), Port.Compare), slices.Clone(endpoints)))
		add("ports of several slices", NewSlice(name, cluster, 0, slices.Concat(few[:1], []Port{ports[10+c]}), slices.Clone(hosts)), portNames[10+c])
	}
	add("endpoints", NewSlice("none", "cluster-0", 0, nil, nil), fewNames...)
	add("ports x endpoints", NewSlice("none", "cluster-0", 0, nil, nil), portNames...)
	add("different ports", NewSlice("none", "cluster-0", 0, nil, nil), portNames...)
	return all
}

// in returns a view of the shape alone.
func (s shape) in() *View {
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	for _, slice := range s.slices {
		v.SetSlice("ns", "db", slice)
	}
	return v
}

// ask asks for everything, and returns how many names there are.
func (s shape) ask(v *View) (found int) {
	r := v.Service("db.ns").In(zone)
	ask := func(sets ...*RRset) {
		for _, set := range sets {
			if set.Len() > 0 {
				set.Fit(50, 1100)
			}
		}
	}
	ask(r.A(), r.AAAA(), r.SRV())
	for _, name := range s.names {
		if node, ok := r.Below(name); ok {
			ask(node.A(), node.AAAA(), node.SRV())
			found++
		}
	}
	return found
}

// TestCounted_X7: what is kept of what was built for questions takes no more memory than was counted, whatever multiplies; and
// nothing of it is left when it is forgotten.
func TestCounted_X7(t *testing.T) {
	const noise = 128 << 10
	for what, s := range shapes() {
		t.Run(what, func(t *testing.T) {
			v := s.in()
			before := heap()
			if found := s.ask(v); found == 0 || found != len(s.names) {
				t.Fatalf("%d of %d names", found, len(s.names))
			}
			kept, counted := heap()-before, int(v.keeper.built.Load())
			t.Logf("%d KiB kept, %d counted", kept>>10, counted>>10)
			if kept > counted+noise {
				t.Errorf("%d KiB are kept, and %d were counted", kept>>10, counted>>10)
			}
			v.Forget()
			if left := heap() - before; left > noise {
				t.Errorf("%d KiB of %d are left", left>>10, kept>>10)
			}
			if s.ask(v) == 0 {
				t.Error("nothing is there afterwards")
			}
		})
	}
}

// TestBuiltOnce_X7: however many ask for a name at once that nobody asked for before, its records are built once, and all of them
// are answered with the same.
func TestBuiltOnce_X7(t *testing.T) {
	const askers = 8
	for what, s := range shapes() {
		t.Run(what, func(t *testing.T) {
			alone := s.in()
			s.ask(alone)
			want := alone.keeper.built.Load()
			for range 5 {
				v := s.in()
				v.Forget()
				before := v.keeper.built.Load()
				var all sync.WaitGroup
				start := make(chan struct{})
				for range askers {
					all.Go(func() {
						<-start
						s.ask(v)
					})
				}
				close(start)
				all.Wait()
				if built := v.keeper.built.Load() - before; built != want {
					t.Fatalf("%d KiB were built for %d askers, and %d for one", built>>10, askers, want>>10)
				}
			}
		})
	}
}

// TestSharedNames_X7: however many hostnames several slices have, asking for all of them throws out none: each stays built.
func TestSharedNames_X7(t *testing.T) {
	s := shapes()["hostnames of several slices"]
	v := s.in()
	s.ask(v)
	built := v.keeper.built.Load()
	for range 3 {
		s.ask(v)
	}
	if again := v.keeper.built.Load(); len(s.names) < 250 || again != built {
		t.Errorf("asked for %d names once, %d KiB were built; asked for them again, %d more", len(s.names), built>>10, (again-built)>>10)
	}
}
