package mirror

import (
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestSelection holds that a store keeps the objects of exported names and nothing else, and that it says of a name whose
// export has just appeared that it is not known (SPEC L3, L6), until it is, whatever the watch tells meanwhile. The name
// that all cases look at is n/s; objects are told as name/uid@version.
func TestSelection(t *testing.T) {
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	type step = func(s *testStore)
	pick := func(s *testStore) { s.Pick(name) }
	unpick := func(s *testStore) { s.Unpick(name) }
	put := func(o *discoveryv1.EndpointSlice) step {
		return func(s *testStore) { s.take(change[*discoveryv1.EndpointSlice]{o, false}) }
	}
	remove := func(o *discoveryv1.EndpointSlice) step {
		return func(s *testStore) { s.take(change[*discoveryv1.EndpointSlice]{o, true}) }
	}
	begin := func(s *testStore) { s.begin() }
	end := func(version string, list ...*discoveryv1.EndpointSlice) step {
		return func(s *testStore) { s.replace(s.sift(list), version) }
	}
	list := func(version string, list ...*discoveryv1.EndpointSlice) step {
		return func(s *testStore) { begin(s); end(version, list...)(s) }
	}
	learn := func(version string, list ...*discoveryv1.EndpointSlice) step {
		return func(s *testStore) { s.learn(name, list, version) }
	}
	x := func(version string) *discoveryv1.EndpointSlice { return slice("x", "s", "a", version) }
	y := func(version string) *discoveryv1.EndpointSlice { return slice("y", "s", "b", version) }
	other := func(version string) *discoveryv1.EndpointSlice { return slice("x", "other", "a", version) }

	for title, tc := range map[string]struct {
		steps []step
		want  string // objects held, whatever their name; then "?" while the name is not known
		reads int    // how often the name is asked for
	}{
		"nobody exports":                         {[]step{list("5", x("3")), put(y("6"))}, "?", 0},
		"exported before the list":               {[]step{pick, list("5", x("3"))}, "x/a@3", 0},
		"exported after the list":                {[]step{list("5", x("3")), pick}, "?", 1},
		"read":                                   {[]step{list("5", x("3")), pick, learn("5", x("3"))}, "x/a@3", 1},
		"read, and there is nothing":             {[]step{list("5"), pick, learn("5")}, "", 1},
		"changed while it is read":               {[]step{list("5", x("3")), pick, put(x("6")), learn("5", x("3"))}, "x/a@6", 1},
		"changed before it was read":             {[]step{list("5", x("3")), pick, put(x("6")), learn("7", x("7"))}, "x/a@7", 1},
		"changed twice while it is read":         {[]step{list("5", x("3")), pick, put(x("6")), put(x("7")), learn("5", x("3"))}, "x/a@7", 1},
		"changed, then deleted":                  {[]step{list("5", x("3")), pick, put(x("6")), remove(x("7")), learn("5", x("3"))}, "", 1},
		"a reading tells of others, too":         {[]step{list("5", x("3")), pick, learn("5", x("3"), slice("z", "other", "c", "3"))}, "x/a@3", 1},
		"deleted while it is read":               {[]step{list("5", x("3")), pick, remove(x("6")), learn("5", x("3"))}, "", 1},
		"deleted before it was read":             {[]step{list("5", x("3")), pick, remove(x("6")), learn("7")}, "", 1},
		"the watch is behind the reading":        {[]step{list("5", x("3")), pick, learn("9", x("8")), put(x("7")), put(y("7")), remove(y("8"))}, "x/a@8", 1},
		"the watch goes on after it":             {[]step{list("5", x("3")), pick, learn("9", x("8")), put(x("10")), put(y("11"))}, "x/a@10 y/b@11", 1},
		"read twice":                             {[]step{list("5"), pick, learn("6", x("6")), learn("5")}, "x/a@6", 1},
		"not exported any more":                  {[]step{pick, list("5", x("3")), unpick, put(x("6"))}, "?", 0},
		"not exported while it is read":          {[]step{list("5", x("3")), pick, unpick, learn("5", x("3"))}, "?", 1},
		"exported again":                         {[]step{pick, list("5", x("3")), unpick, pick, learn("6", x("6"))}, "x/a@6", 1},
		"exported during the list":               {[]step{begin, pick, end("5", x("3"))}, "?", 1},
		"exported during a list anew":            {[]step{list("5"), begin, pick, learn("6", x("6")), end("7", x("6"), y("7"))}, "x/a@6?", 2},
		"a reading older than the list":          {[]step{list("5"), begin, pick, end("7", x("6")), learn("6", x("6"))}, "?", 2},
		"a list tells of a name that is wanted":  {[]step{list("5"), pick, put(x("6")), list("9", x("6"), y("9"))}, "x/a@6 y/b@9", 1},
		"a list finds what is gone":              {[]step{pick, list("5", x("3"), y("4")), list("9", y("4"))}, "y/b@4", 0},
		"relabelled to a name nobody exports":    {[]step{pick, list("5", x("3")), put(other("6"))}, "", 0},
		"relabelled from a name nobody exports":  {[]step{pick, list("5", other("3")), put(x("6"))}, "x/a@6", 0},
		"deleted, of a name that nobody exports": {[]step{pick, list("5", x("3")), remove(slice("z", "other", "c", "6"))}, "x/a@3", 0},
	} {
		t.Run(title, func(t *testing.T) {
			s, reads := newTestStore(), 0
			s.Selection.Of = ofService
			s.Selection.Unknown = func(got types.NamespacedName) {
				if got != name {
					t.Errorf("%s is to be read, want %s", got, name)
				}
				reads++
			}
			for _, step := range tc.steps {
				step(s)
			}
			var held []string
			for key, o := range s.All() {
				held = append(held, key.Name+"/"+at(o))
			}
			slices.Sort(held)
			got := strings.Join(held, " ")
			if !s.Knows(name) {
				got += "?"
			}
			if got != tc.want || reads != tc.reads {
				t.Errorf("held %q after %d readings, want %q after %d", got, reads, tc.want, tc.reads)
			}
			if len(held) == 0 && len(s.groups)+len(s.noted) != 0 {
				t.Errorf("the index keeps what is gone: %v, %v", s.groups, s.noted)
			}
		})
	}
}

// TestSelectionDoubts holds that a name which is read anew does not take away what is held back because a list lacks too
// much (SPEC L6).
func TestSelectionDoubts(t *testing.T) {
	s := newTestStore()
	s.Selection.Of, s.Selection.Unknown = ofService, func(types.NamespacedName) {}
	s.Doubt.Of, s.Doubt.Hold = Always[*discoveryv1.EndpointSlice], writeLife
	old := newTestStore()
	old.replace([]*discoveryv1.EndpointSlice{slice("x", "s", "a", "5")}, "5")
	s.begin()
	s.replace(nil, "9")
	s.Adopt(old.Store)
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	s.Pick(name)
	s.learn(name, nil, "9")
	if len(s.Of(name)) != 1 || !s.Knows(name) {
		t.Errorf("held %v, want what is doubted to be gone", s.All())
	}
}
