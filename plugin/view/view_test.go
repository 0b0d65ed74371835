package view

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

var zone = Zone{Origin: "clusterset.local.", TTL: 5}

// contents is everything that a view answers, as text.
func contents(v *View) []string {
	var all []string
	services := v.Snapshot()
	for _, s := range services {
		all = append(all, s.Key())
		for rrs := range s.Walk(zone) {
			for _, rr := range rrs {
				all = append(all, rr.String())
			}
		}
	}
	slices.Sort(all)
	return all
}

// world is objects as they are in a cluster, and the view that was told of each change.
type world struct {
	rand    *rand.Rand
	view    *View
	imports map[string]Import
	slices  map[SliceKey]owned
}

type owned struct {
	service string
	slice   *Slice
}

func newWorld(seed uint64) *world {
	return &world{rand.New(rand.NewPCG(seed, 1)), New(), map[string]Import{}, map[SliceKey]owned{}}
}

// step changes one object, or tries to change one that is not there.
func (w *world) step() {
	ns, name := fmt.Sprintf("ns%d", w.rand.IntN(2)), fmt.Sprintf("svc%d", w.rand.IntN(3))
	id := SliceKey{ns, fmt.Sprintf("%cslice%d", 'a'+w.rand.IntN(2), w.rand.IntN(2))}
	switch w.rand.IntN(8) {
	case 0, 1:
		imp := Import{Headless: w.rand.IntN(3) > 0}
		if !imp.Headless {
			imp.IPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 96, 0, byte(w.rand.IntN(2))})}
			imp.Ports = []Port{{"http", "tcp", uint16(80 + w.rand.IntN(2))}}
		}
		w.imports[name+"."+ns] = imp
		w.view.SetImport(ns, name, imp)
	case 2:
		delete(w.imports, name+"."+ns)
		w.view.DeleteImport(ns, name)
	case 3:
		delete(w.slices, id)
		w.view.DeleteSlice(id.Namespace, id.Name)
	default:
		o := owned{name, w.randomSlice(id.Name)}
		w.slices[id] = o
		w.view.SetSlice(ns, name, o.slice)
	}
}

func (w *world) randomSlice(name string) *Slice {
	var endpoints []Endpoint
	for range w.rand.IntN(4) {
		e := Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(w.rand.IntN(3))})}
		if w.rand.IntN(2) == 0 {
			e.Hostname = fmt.Sprintf("h%d", w.rand.IntN(2))
		}
		endpoints = append(endpoints, e)
	}
	cluster := []string{"", "a", "b", "x.a"}[w.rand.IntN(4)]
	return NewSlice(name, cluster, w.rand.IntN(4)/2, []Port{{"http", "tcp", uint16(80 + w.rand.IntN(2))}}, endpoints)
}

// anew returns a view that was told only how things are now, in another order.
func (w *world) anew() *View {
	v := New()
	for id, o := range w.slices {
		v.SetSlice(id.Namespace, o.service, o.slice)
	}
	for key, imp := range w.imports {
		name, ns, _ := strings.Cut(key, ".")
		v.SetImport(ns, name, imp)
	}
	return v
}

// TestHistoryDoesNotMatter: whatever happened before, a view answers what one does that learned only the end of it; and
// Changes tells of every change of an answer (SPEC D14), and of no other, but where [differ] says that it may.
func TestHistoryDoesNotMatter(t *testing.T) {
	silent := 0
	for seed := range uint64(50) {
		w := newWorld(seed)
		last, changes, twice := contents(w.view), w.view.Changes(), false
		for step := range 200 {
			w.step()
			now, was := contents(w.view), twice
			told, changed := w.view.Changes() != changes, !slices.Equal(last, now)
			if twice = w.twice(); told != changed && (changed || !was && !twice) {
				t.Fatalf("seed %d, step %d: changed %v, counted %v:\n%s\nbefore:\n%s", seed, step, changed, told, strings.Join(now, "\n"), strings.Join(last, "\n"))
			}
			if !told && !was && !twice {
				silent++
			}
			last, changes = now, w.view.Changes()
			fresh := w.anew()
			if want := contents(fresh); !slices.Equal(now, want) {
				t.Fatalf("seed %d, step %d:\n%s\nnot\n%s", seed, step, strings.Join(now, "\n"), strings.Join(want, "\n"))
			}
			if got, want := w.view.Counts(), fresh.Counts(); got != want {
				t.Fatalf("seed %d, step %d: counts %+v, not %+v", seed, step, got, want)
			}
			for _, ns := range []string{"ns0", "ns1"} {
				if got, want := w.view.HasNamespace(ns), fresh.HasNamespace(ns); got != want {
					t.Fatalf("seed %d, step %d: namespace %s exists: %v", seed, step, ns, got)
				}
			}
		}
	}
	if silent == 0 {
		t.Error("every step changed an answer, or might have")
	}
}

// TestRetain: after a listing, what it did not hold is gone, of the slices of one prefix.
func TestRetain(t *testing.T) {
	for seed := range uint64(50) {
		w := newWorld(seed)
		for range 100 {
			w.step()
		}
		maps.DeleteFunc(w.imports, func(string, Import) bool { return w.rand.IntN(2) == 0 })
		prefix := []string{"a", "b", ""}[w.rand.IntN(3)]
		maps.DeleteFunc(w.slices, func(id SliceKey, _ owned) bool { return strings.HasPrefix(id.Name, prefix) && w.rand.IntN(2) == 0 })
		imports, kept := map[string]struct{}{}, map[SliceKey]struct{}{}
		for key := range w.imports {
			imports[key] = struct{}{}
		}
		for id := range w.slices {
			if strings.HasPrefix(id.Name, prefix) {
				kept[id] = struct{}{}
			}
		}
		w.view.RetainImports(imports)
		w.view.RetainSlices(prefix, kept)
		if got, want := contents(w.view), contents(w.anew()); !slices.Equal(got, want) {
			t.Fatalf("seed %d:\n%s\nnot\n%s", seed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(w.view.owners) != len(w.slices) {
			t.Fatalf("seed %d: %d slices are held, not %d", seed, len(w.view.owners), len(w.slices))
		}
	}
}

// TestReadersSeeWholes: while a service changes from one state to another and back, readers see one of the two.
func TestReadersSeeWholes(t *testing.T) {
	v := New()
	v.SetImport("ns", "db", Import{Headless: true})
	states := [2]*Slice{}
	for i := range states {
		var endpoints []Endpoint
		for j := range 10 {
			endpoints = append(endpoints, Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(i), 0, byte(j)})})
		}
		states[i] = NewSlice("s", "a", 0, nil, endpoints)
	}
	v.SetSlice("ns", "db", states[0])
	stop := reading(t, func() error {
		records := v.Service("db.ns").In(zone)
		first := records.A().All()[0].(*dns.A).A[1]
		for _, rr := range records.A().All() {
			if a := rr.(*dns.A).A; a[1] != first {
				return fmt.Errorf("half a change: %v", records.A().All())
			}
		}
		name := fmt.Sprintf("10-%d-0-3.a", first)
		if node, ok := records.Below(name); !ok || node.A().Len() != 1 || node.AAAA().Len() != 0 || node.SRV().Len() != 0 {
			return fmt.Errorf("%s has no address", name)
		}
		if !v.HasNamespace("ns") {
			return errors.New("the namespace is gone")
		}
		return nil
	})
	for i := range 2000 {
		v.SetSlice("ns", "db", states[i%2])
		v.SetImport("ns", "db", Import{Headless: true})
	}
	stop()
}

// reading has two readers read without pause, until they find something wrong or stop is called, which waits for them.
func reading(t *testing.T, read func() error) (stop func()) {
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() {
		close(done)
		readers.Wait()
	}
}

// TestForget: the records of a zone that nobody serves any more are dropped, and built again when asked for.
func TestForget(t *testing.T) {
	v := New()
	v.SetImport("ns", "web", Import{IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
	s := v.Service("web.ns")
	other := Zone{Origin: "other.example.", TTL: 7}
	first := s.In(zone)
	if s.In(other) == first || s.In(zone) != first {
		t.Error("records are not kept by zone")
	}
	if rr := s.In(other).A().All()[0]; rr.Header().Name != "web.ns.svc.other.example." || rr.Header().Ttl != 7 {
		t.Errorf("%v", rr)
	}
	v.Forget()
	if s.records.Load() != nil {
		t.Error("records are kept")
	}
	if rr := s.In(zone).A().All()[0]; rr.Header().Name != "web.ns.svc.clusterset.local." {
		t.Errorf("%v", rr)
	}
}

// TestClone: a clone holds what the view held, and neither sees what becomes of the other.
func TestClone(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(seed)
		for range 50 {
			w.step()
		}
		before, clone := contents(w.view), w.view.Clone()
		for range 50 {
			w.step()
		}
		after := contents(w.view)
		if got := contents(clone); !slices.Equal(got, before) {
			t.Fatalf("seed %d:\n%s\nnot\n%s", seed, strings.Join(got, "\n"), strings.Join(before, "\n"))
		}
		clone.RetainSlices("", nil)
		clone.RetainImports(nil)
		if clone.Counts() != (Counts{}) || clone.HasNamespace("ns") || !slices.Equal(contents(w.view), after) {
			t.Fatalf("seed %d: %+v is left, or the other changed", seed, clone.Counts())
		}
	}
}
