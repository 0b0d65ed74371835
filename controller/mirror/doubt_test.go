package mirror

import (
	"fmt"
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestDoubt_L6 holds which absences are believed at once, and which are held back for 30 s.
func TestDoubt_L6(t *testing.T) {
	all := func(n int) (list []*discoveryv1.EndpointSlice) {
		for i := range n {
			list = append(list, slice(fmt.Sprint(i), "s", fmt.Sprint(i), "5"))
		}
		return list
	}
	type step = func(s *testStore)
	list := func(list []*discoveryv1.EndpointSlice) step { return func(s *testStore) { s.replace(list, "9") } }
	wait := func(d time.Duration) step { return func(s *testStore) { s.time = s.time.Add(d) } }
	release := func(confirmed bool) step {
		return func(s *testStore) {
			if confirmed {
				s.release(s.time.Add(time.Second))
			} else {
				s.release(time.Time{})
			}
		}
	}
	before := func(s *testStore) { s.release(s.time) } // what was asked before the last event
	suspect := func(s *testStore) { s.Suspect() }
	remove := func(o *discoveryv1.EndpointSlice) step { return func(s *testStore) { s.remove(o) } }
	removals := func(s *testStore) {
		s.Doubt.removals, s.Doubt.removed = true, func() { s.told = append(s.told, "look!") }
	}

	for name, tc := range map[string]struct {
		steps      []step
		seen, held int
	}{
		"half is believed":                   {[]step{list(all(4)), list(all(2))}, 2, 0},
		"more than half is held back":        {[]step{list(all(4)), list(all(1))}, 4, 3},
		"the only one is held back":          {[]step{list(all(1)), list(nil)}, 1, 1},
		"nothing to lose":                    {[]step{list(nil), list(all(3))}, 3, 0},
		"held back again, no longer":         {[]step{list(all(4)), list(nil), wait(20 * time.Second), list(nil), wait(10 * time.Second), list(nil)}, 0, 0},
		"held back until the time is over":   {[]step{list(all(4)), list(nil), wait(29 * time.Second), release(true)}, 4, 4},
		"believed when the time is over":     {[]step{list(all(4)), list(nil), wait(30 * time.Second), release(true)}, 0, 0},
		"back before the time is over":       {[]step{list(all(4)), list(nil), list(all(4)), wait(time.Hour), release(true)}, 4, 0},
		"some back before the time is over":  {[]step{list(all(4)), list(nil), list(all(3)), wait(time.Hour), release(true)}, 3, 0},
		"one back by the watch":              {[]step{list(all(4)), list(nil), func(s *testStore) { s.Put(all(1)[0]) }, wait(time.Hour), release(true)}, 1, 0},
		"deleted by the watch":               {[]step{list(all(4)), list(nil), remove(all(1)[0])}, 3, 3},
		"deletions are believed":             {[]step{list(all(1)), remove(all(1)[0])}, 0, 0},
		"own deletions are believed":         {[]step{list(all(1)), func(s *testStore) { s.Deleted(all(1)[0]) }, list(nil)}, 0, 0},
		"away meanwhile: doubted anew":       {[]step{list(all(4)), list(nil), release(true), wait(time.Hour), release(true)}, 4, 4},
		"and believed when it stays so":      {[]step{list(all(4)), list(nil), release(true), wait(time.Hour), release(true), wait(14 * time.Second), release(true), wait(14 * time.Second), release(true), wait(2 * time.Second), release(true)}, 0, 0},
		"away meanwhile: in the next list":   {[]step{list(all(4)), list(nil), release(true), wait(time.Hour), release(true), list(all(4)), wait(time.Hour), release(true)}, 4, 0},
		"away meanwhile: not in the next":    {[]step{list(all(4)), list(nil), release(true), wait(time.Hour), list(nil)}, 4, 4},
		"a doubted deletion waits":           {[]step{removals, list(all(2)), remove(all(1)[0]), wait(time.Hour), release(false)}, 2, 0},
		"a doubted deletion is confirmed":    {[]step{removals, list(all(2)), remove(all(1)[0]), release(true)}, 1, 0},
		"by what was asked before it is not": {[]step{removals, list(all(2)), remove(all(1)[0]), before}, 2, 0},
		"one is, one is not":                 {[]step{removals, list(all(4)), remove(all(1)[0]), wait(time.Minute), remove(all(2)[1]), before}, 3, 0},
		"a doubted deletion is undone":       {[]step{removals, list(all(2)), remove(all(1)[0]), func(s *testStore) { s.Put(all(1)[0]) }, release(true)}, 2, 0},
		"a doubted deletion is suspect":      {[]step{removals, list(all(2)), remove(all(1)[0]), suspect, release(true)}, 2, 1},
		"a suspect deletion is believed":     {[]step{removals, list(all(2)), remove(all(1)[0]), suspect, wait(30 * time.Second), release(true)}, 1, 0},
		"after doubted deletions, none left": {[]step{removals, list(all(2)), remove(all(2)[0]), remove(all(2)[1]), list(nil), release(true)}, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStore()
			s.Doubt.Of, s.Doubt.Hold = Always[*discoveryv1.EndpointSlice], 30*time.Second
			for _, step := range tc.steps {
				step(s)
			}
			if len(s.All()) != tc.seen || s.Doubted() != tc.held {
				t.Errorf("readers see %d, %d held back; want %d, %d", len(s.All()), s.Doubted(), tc.seen, tc.held)
			}
			groups := 0
			for range s.Of(KeyOf(slice("s", "", "", ""))) {
				groups++
			}
			if groups != tc.seen {
				t.Errorf("the index has %d, want %d", groups, tc.seen)
			}
		})
	}
}

// TestDoubtOutlivesReplacement_L6 holds that other credentials, which see nothing, don't make everything vanish.
func TestDoubtOutlivesReplacement_L6(t *testing.T) {
	old, s := newTestStore(), newTestStore()
	for _, store := range []*testStore{old, s} {
		store.Doubt.Of, store.Doubt.Hold = Always[*discoveryv1.EndpointSlice], 30*time.Second
	}
	s.Live.Store(false)
	old.replace([]*discoveryv1.EndpointSlice{slice("x", "s", "a", "5")}, "5")
	s.replace(nil, "9")
	s.Adopt(old.Store)
	s.Live.Store(true)
	s.TellDifference(old.Store)
	if len(s.All()) != 1 || len(s.told) != 0 {
		t.Errorf("readers see %v, told %v", s.All(), s.told)
	}
	s.time = s.time.Add(30 * time.Second)
	s.release(s.time)
	if len(s.All()) != 0 || !slices.Equal(s.told, []string{"a@5→-"}) {
		t.Errorf("later, readers see %v, told %v", s.All(), s.told)
	}
}
