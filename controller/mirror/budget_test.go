package mirror

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// budgeted returns a store that keeps up to 5 slices and 20 endpoints of a name.
func budgeted() *testStore {
	s := newTestStore()
	s.Selection.Of, s.Selection.Unknown = ofService, func(types.NamespacedName) {}
	s.Budget = Budget[*discoveryv1.EndpointSlice]{
		Weigh: func(o *discoveryv1.EndpointSlice) Weight { return Weight{1, int32(len(o.Endpoints))} },
		Most:  Weight{5, 20}, Told: func(types.NamespacedName) {},
	}
	return s
}

func sized(name string, version, endpoints int) *discoveryv1.EndpointSlice {
	o := slice(name, "s", name, fmt.Sprint(version))
	o.Endpoints = make([]discoveryv1.Endpoint, endpoints)
	return o
}

// TestBudget_X6: whatever comes and goes, by events, lists and readings, no more of a name is kept than there is room for; what is
// kept are the first of its objects, and the store says that some are left out, and tells when that begins and ends. A little after
// room was made, those come in that there is room for.
func TestBudget_X6(t *testing.T) {
	r, seed := random()
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	s := budgeted()
	said, wanted := false, 0
	s.Budget.Told = func(got types.NamespacedName) {
		if got != name {
			t.Errorf("told of %s", got)
		}
		_, said = s.LeftOut(got)
	}
	s.Selection.Unknown = func(types.NamespacedName) { wanted++ }
	there, version := map[string]*discoveryv1.EndpointSlice{}, 1
	all := func() []*discoveryv1.EndpointSlice {
		list := make([]*discoveryv1.EndpointSlice, 0, len(there))
		for _, name := range slices.Sorted(maps.Keys(there)) {
			list = append(list, there[name])
		}
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	held := func() (names []string) {
		for key := range s.All() {
			names = append(names, key.Name)
		}
		slices.Sort(names)
		return names
	}
	prefix := func() (names []string) { // of what there is, as much as there is room for
		var used Weight
		for _, n := range slices.Sorted(maps.Keys(there)) {
			if used = used.plus(s.Budget.Weigh(there[n])); func() bool { _, over := used.over(s.Budget.Most); return over }() {
				break
			}
			names = append(names, n)
		}
		return names
	}
	s.Pick(name)
	s.begin()
	s.replace(nil, "1")
	for step := range 20_000 {
		version++
		n := fmt.Sprintf("o%02d", r.IntN(12))
		exact := false
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			there[n] = sized(n, version, r.IntN(12))
			s.take(change[*discoveryv1.EndpointSlice]{there[n], false})
		case 4, 5:
			if o := there[n]; o != nil {
				delete(there, n)
				s.take(change[*discoveryv1.EndpointSlice]{sized(n, version, len(o.Endpoints)), true})
			}
		case 6: // a list anew, in the order that an honest server has, in pages
			s.begin()
			list := all()
			slices.SortFunc(list, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
			var kept []*discoveryv1.EndpointSlice
			for page := range slices.Chunk(list, 2) {
				kept = append(kept, s.sift(page)...)
			}
			if len(kept) > 6 {
				t.Fatalf("seed %d, step %d: %d of a list are kept until it is complete", seed, step, len(kept))
			}
			s.replace(kept, fmt.Sprint(version))
			exact = true
		case 7: // time goes by, and what there is room for is read
			s.time = s.time.Add(rereadEvery)
			wanted = 0
			s.release(time.Time{})
			if wanted > 0 {
				s.learn(name, all(), fmt.Sprint(version))
				exact = true
			}
			if _, some := s.LeftOut(name); some { // then there is no room for the next of them
				exact = true
			}
		}
		got, want := held(), prefix()
		_, some := s.LeftOut(name)
		var used Weight
		for _, o := range s.All() {
			used = used.plus(s.Budget.Weigh(o))
		}
		if by, over := used.over(s.Budget.Most); over || used != s.Budget.used[name] {
			t.Fatalf("seed %d, step %d: %v is kept, counted as %v (%d)", seed, step, used, s.Budget.used[name], by)
		}
		if exact && !slices.Equal(got, want) || !slices.Equal(got, want[:min(len(got), len(want))]) {
			t.Fatalf("seed %d, step %d: %q are kept, want %q, of %d", seed, step, got, want, len(there))
		}
		if !some && len(got) != len(there) || said != some {
			t.Fatalf("seed %d, step %d: %d of %d are kept; left out: %v, told %v", seed, step, len(got), len(there), some, said)
		}
		for n, o := range s.All() {
			if there[n.Name] != o {
				t.Fatalf("seed %d, step %d: %s is another", seed, step, n)
			}
		}
	}
	s.Unpick(name)
	if b := &s.Budget; len(b.used)+len(b.weights)+len(b.left)+len(s.objects) != 0 {
		t.Errorf("of a name that nobody exports %v is kept, %v, %v", b.used, b.weights, b.left)
	}
}

// TestBudgetRereads_X6: whoever makes room again and again has the name read once in a while; nobody reads for what there is no room.
func TestBudgetRereads_X6(t *testing.T) {
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	s := budgeted()
	reads := 0
	s.Selection.Unknown = func(types.NamespacedName) { reads++ }
	s.Pick(name)
	s.begin()
	s.replace(nil, "1")
	list := make([]*discoveryv1.EndpointSlice, 8)
	for i := range list {
		list[i] = sized(fmt.Sprint("o", i), i+2, 1)
		s.take(change[*discoveryv1.EndpointSlice]{list[i], false})
	}
	version := 100
	pass := func(d time.Duration) {
		s.time = s.time.Add(d)
		s.release(time.Time{})
		if !s.Knows(name) {
			version++
			s.learn(name, list, fmt.Sprint(version))
		}
	}
	for range 100 {
		pass(time.Second)
	}
	if reads != 0 {
		t.Errorf("the name was read %d times, though there is no room", reads)
	}
	for range 60 { // the last of those kept goes and comes
		version++
		s.take(change[*discoveryv1.EndpointSlice]{sized("o4", version, 1), true})
		pass(time.Second)
		version++
		s.take(change[*discoveryv1.EndpointSlice]{sized("o4", version, 1), false})
	}
	if most := int(60*time.Second/rereadEvery) + 1; reads == 0 || reads > most {
		t.Errorf("the name was read %d times in a minute, want at most %d", reads, most)
	}
}

// TestMissedIsBounded_X6: what the watch tells of a name while it is read is kept within the budget; a reading that is older than what
// was not kept does not count.
func TestMissedIsBounded_X6(t *testing.T) {
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	s := budgeted()
	s.begin()
	s.replace(nil, "1")
	s.Pick(name)
	for i := range 1000 {
		s.take(change[*discoveryv1.EndpointSlice]{sized(fmt.Sprint("o", i), i+2, 1), false})
		if n := len(s.Selection.names[name].missed); n > 5 {
			t.Fatalf("%d are kept until the name is read", n)
		}
	}
	s.learn(name, nil, "500")
	if s.Knows(name) {
		t.Error("a reading counts that is older than an event which was not kept")
	}
	s.learn(name, nil, "2000")
	if !s.Knows(name) {
		t.Error("a later reading does not count")
	}
}

// TestLeftOutMovesAway_X6: the first object that is left out of a name may be relabelled to another, selected or not; then there is room
// for the next, and that nothing is left out is said.
func TestLeftOutMovesAway_X6(t *testing.T) {
	name, other := types.NamespacedName{Namespace: "n", Name: "s"}, types.NamespacedName{Namespace: "n", Name: "t"}
	for title, picked := range map[string]bool{"to a name that nobody exports": false, "to a name that is exported": true} {
		t.Run(title, func(t *testing.T) {
			s := budgeted()
			s.Pick(name)
			if picked {
				s.Pick(other)
			}
			s.begin()
			s.replace([]*discoveryv1.EndpointSlice{sized("a", 1, 5), sized("b", 1, 16), sized("c", 1, 1)}, "1")
			if _, some := s.LeftOut(name); !some {
				t.Fatal("all is kept")
			}
			away := slice("b", "t", "b", "2")
			away.Endpoints = make([]discoveryv1.Endpoint, 20)
			s.take(change[*discoveryv1.EndpointSlice]{away, false})
			s.time = s.time.Add(rereadEvery)
			wanted := false
			s.Selection.Unknown = func(n types.NamespacedName) { wanted = wanted || n == name }
			s.release(time.Time{})
			if !wanted {
				t.Fatal("the name is not read anew")
			}
			s.learn(name, []*discoveryv1.EndpointSlice{sized("a", 1, 5), sized("c", 1, 1)}, "3")
			if _, some := s.LeftOut(name); some || len(s.Of(name)) != 2 || len(s.Budget.firsts) != 0 {
				t.Errorf("left out: %v; kept: %d; %v", some, len(s.Of(name)), s.Budget.firsts)
			}
		})
	}
}
