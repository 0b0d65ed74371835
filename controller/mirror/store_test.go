package mirror

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// slice makes an imported slice n/name of a service, told by its UID, at a resource version.
func slice(name, service, uid, version string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: name, UID: types.UID(uid), ResourceVersion: version,
		Labels: map[string]string{mcsapi.LabelServiceName: service},
	}}
}

// ofService is the group of a slice: its service, if it is of one.
func ofService(s *discoveryv1.EndpointSlice) (types.NamespacedName, bool) {
	name, ok := mcsapi.ServiceOf(s.Labels)
	return types.NamespacedName{Namespace: s.Namespace, Name: name}, ok
}

func deleting(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	return s
}

// testStore is a store of slices, with a clock that stands still and a record of what it told.
type testStore struct {
	*Store[*discoveryv1.EndpointSlice]
	told []string
	time time.Time
}

func newTestStore() *testStore {
	s := &testStore{time: time.Unix(1000, 0)}
	s.Store = NewStore(ofService, func(before, after *discoveryv1.EndpointSlice) {
		s.told = append(s.told, fmt.Sprintf("%s→%s", at(before), at(after)))
	})
	s.now = func() time.Time { return s.time }
	s.Live.Store(true)
	return s
}

// at tells an object as uid@version.
func at(s *discoveryv1.EndpointSlice) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%s@%s", s.UID, s.ResourceVersion)
}

// TestStore holds that reads after an own write see it, until the watch knows better, whatever comes in which order. The
// object that all cases look at is n/x of service s.
func TestStore(t *testing.T) {
	x := func(uid, version string) *discoveryv1.EndpointSlice { return slice("x", "s", uid, version) }
	type step = func(s *testStore)
	put := func(o *discoveryv1.EndpointSlice) step { return func(s *testStore) { s.Put(o) } }
	remove := func(o *discoveryv1.EndpointSlice) step { return func(s *testStore) { s.remove(o) } }
	wrote := func(o *discoveryv1.EndpointSlice) step { return func(s *testStore) { s.Wrote(o) } }
	deleted := func(o *discoveryv1.EndpointSlice) step { return func(s *testStore) { s.Deleted(o) } }
	list := func(version string, list ...*discoveryv1.EndpointSlice) step {
		return func(s *testStore) { s.replace(list, version) }
	}
	wait := func(d time.Duration) step { return func(s *testStore) { s.time = s.time.Add(d) } }

	for name, tc := range map[string]struct {
		steps []step
		want  string
		told  []string
	}{
		"watched":                            {[]step{put(x("a", "5"))}, "a@5", []string{"-→a@5"}},
		"removed":                            {[]step{put(x("a", "5")), remove(x("a", "6"))}, "-", []string{"-→a@5", "a@5→-"}},
		"created by us, not watched yet":     {[]step{wrote(x("a", "5"))}, "a@5", nil},
		"created by us, then watched":        {[]step{wrote(x("a", "5")), put(x("a", "5"))}, "a@5", nil},
		"updated by us, watch behind":        {[]step{put(x("a", "5")), wrote(x("a", "9")), put(x("a", "7"))}, "a@9", []string{"-→a@5"}},
		"updated by us, watch ahead":         {[]step{put(x("a", "5")), wrote(x("a", "9")), put(x("a", "10"))}, "a@10", []string{"-→a@5", "a@9→a@10"}},
		"watch was faster than our answer":   {[]step{put(x("a", "12")), wrote(x("a", "9"))}, "a@12", []string{"-→a@12"}},
		"versions compare by number":         {[]step{put(x("a", "9")), wrote(x("a", "10"))}, "a@10", []string{"-→a@9"}},
		"deleted by us, watch behind":        {[]step{put(x("a", "5")), deleted(x("a", "5")), put(x("a", "6"))}, "-", []string{"-→a@5"}},
		"deleted by us, then watched":        {[]step{put(x("a", "5")), deleted(x("a", "5")), remove(x("a", "7"))}, "-", []string{"-→a@5"}},
		"deleted by us, made anew by others": {[]step{put(x("a", "5")), deleted(x("a", "5")), put(x("b", "9"))}, "b@9", []string{"-→a@5", "-→b@9"}},
		"deleted by us, kept by a finalizer": {
			[]step{put(x("a", "5")), deleted(x("a", "5")), put(deleting(x("a", "6")))}, "a@6", []string{"-→a@5", "-→a@6"},
		},
		"replaced by us, removal of the old one comes late": {
			[]step{put(x("a", "5")), deleted(x("a", "5")), wrote(x("b", "9")), remove(x("a", "8"))}, "b@9", []string{"-→a@5"},
		},
		"created by us, deleted by others":     {[]step{wrote(x("a", "5")), remove(x("a", "8"))}, "-", []string{"a@5→-"}},
		"list older than our write":            {[]step{wrote(x("a", "9")), list("7")}, "a@9", nil},
		"list newer than our write":            {[]step{wrote(x("a", "9")), list("11")}, "-", []string{"a@9→-"}},
		"list older than our deletion":         {[]step{put(x("a", "5")), deleted(x("a", "5")), list("6", x("a", "5"))}, "-", []string{"-→a@5"}},
		"list finds what is new":               {[]step{list("6", x("a", "5"))}, "a@5", []string{"-→a@5"}},
		"list finds what is gone":              {[]step{put(x("a", "5")), list("9")}, "-", []string{"-→a@5", "a@5→-"}},
		"list finds what is as it was":         {[]step{put(x("a", "5")), list("9", x("a", "5"))}, "a@5", []string{"-→a@5"}},
		"a write the server forgot":            {[]step{put(x("a", "5")), wrote(x("a", "90")), wait(writeLife + 1)}, "a@5", []string{"-→a@5"}},
		"a deletion the server forgot":         {[]step{put(x("a", "5")), deleted(x("a", "5")), wait(writeLife + 1)}, "a@5", []string{"-→a@5"}},
		"deletion of what is not there":        {[]step{deleted(x("a", "5")), put(x("a", "4"))}, "a@4", []string{"-→a@4"}},
		"versions that are no numbers compare": {[]step{put(x("a", "v1")), wrote(x("a", "v2"))}, "a@v1", []string{"-→a@v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStore()
			for _, step := range tc.steps {
				step(s)
			}
			if got := at(s.Get(types.NamespacedName{Namespace: "n", Name: "x"})); got != tc.want {
				t.Errorf("reads see %s, want %s", got, tc.want)
			}
			if !slices.Equal(s.told, tc.told) {
				t.Errorf("told %v, want %v", s.told, tc.told)
			}
			group := "-"
			if list := s.Of(types.NamespacedName{Namespace: "n", Name: "s"}); len(list) > 0 {
				group = at(list[0])
			}
			if group != tc.want {
				t.Errorf("the group has %s, want %s", group, tc.want)
			}
			if len(s.All()) > 1 || len(s.All()) == 1 && tc.want == "-" {
				t.Errorf("all are %v, want %s", s.All(), tc.want)
			}
			if tc.want == "-" && len(s.objects) == 0 && len(s.written) == 0 && len(s.groups)+len(s.noted) != 0 {
				t.Errorf("the index keeps what is gone: %v, %v", s.groups, s.noted)
			}
		})
	}
}

// TestStoreRegroups holds that an object is found under its present group only, be it watched or written.
func TestStoreRegroups(t *testing.T) {
	s := newTestStore()
	has := func(service string) bool {
		return len(s.Of(types.NamespacedName{Namespace: "n", Name: service})) > 0
	}
	s.Put(slice("x", "s", "a", "5"))
	s.Wrote(slice("x", "t", "a", "6"))
	if has("s") || !has("t") {
		t.Error("a written change of group is not seen")
	}
	s.Put(slice("x", "u", "a", "7"))
	if has("s") || has("t") || !has("u") {
		t.Error("a watched change of group is not seen")
	}
}

// TestStoreHandsOver holds that a store that replaces another one, of other credentials or another API version, keeps own
// writes, and tells exactly what readers saw otherwise before (SPEC L8).
func TestStoreHandsOver(t *testing.T) {
	old, s := newTestStore(), newTestStore()
	s.Live.Store(false)
	old.Put(slice("same", "s", "a", "5"))
	old.Put(slice("changed", "s", "b", "5"))
	old.Put(slice("gone", "s", "c", "5"))
	old.Put(slice("dropped", "s", "d", "5"))
	old.Deleted(slice("dropped", "s", "d", "5"))
	old.Wrote(slice("written", "s", "e", "8"))
	s.replace([]*discoveryv1.EndpointSlice{
		slice("same", "s", "a", "5"), slice("changed", "s", "b", "6"), slice("dropped", "s", "d", "5"),
		slice("fresh", "s", "f", "6"),
	}, "7")
	if len(s.told) != 0 {
		t.Errorf("a store that nobody reads told %v", s.told)
	}
	s.Adopt(old.Store)
	s.Live.Store(true)
	s.TellDifference(old.Store)
	slices.Sort(s.told)
	if want := []string{"-→f@6", "b@5→b@6", "c@5→-"}; !slices.Equal(s.told, want) {
		t.Errorf("told %v, want %v", s.told, want)
	}
	if got := at(s.Get(types.NamespacedName{Namespace: "n", Name: "written"})); got != "e@8" {
		t.Errorf("the own write became %s", got)
	}
	if got := at(s.Get(types.NamespacedName{Namespace: "n", Name: "dropped"})); got != "-" {
		t.Errorf("the own deletion became %s", got)
	}
}

var seed = flag.Uint64("seed", 0, "the seed of random changes, as a failure prints it; 0 takes a new one")

// random returns a source of random numbers, and its seed, with which -seed repeats them.
func random() (r *rand.Rand, from uint64) {
	if from = *seed; from == 0 {
		from = rand.Uint64()
	}
	return rand.New(rand.NewPCG(from, 0)), from
}

// TestGroupsFollowObjects: whatever comes and goes, in whatever order, a group holds exactly the objects that belong to it.
func TestGroupsFollowObjects(t *testing.T) {
	r, seed := random()
	s := newTestStore()
	want := map[string]string{} // the group of each object
	for version := range 5000 {
		name := fmt.Sprint("o", r.IntN(40))
		if r.IntN(3) == 0 {
			if group, is := want[name]; is {
				s.remove(slice(name, group, name, fmt.Sprint(version+1)))
				delete(want, name)
			}
			continue
		}
		want[name] = fmt.Sprint("g", r.IntN(4))
		s.Put(slice(name, want[name], name, fmt.Sprint(version+1)))
		for _, group := range []string{"g0", "g1", "g2", "g3"} {
			var is, shall []string
			for _, o := range s.Of(types.NamespacedName{Namespace: "n", Name: group}) {
				is = append(is, o.Name)
			}
			for name, of := range want {
				if of == group {
					shall = append(shall, name)
				}
			}
			slices.Sort(is)
			slices.Sort(shall)
			if !slices.Equal(is, shall) {
				t.Fatalf("seed %d, after %d changes: %s holds %v, want %v", seed, version+1, group, is, shall)
			}
		}
	}
}

// TestNothingChanged_X6: an event that changes nothing but the version is not told, whether it comes as one of a watch, in a list or
// with other credentials; what readers see has the new version. Whatever else changes is told.
func TestNothingChanged_X6(t *testing.T) {
	full := func(version string) *discoveryv1.EndpointSlice {
		o := slice("x", "s", "a", version)
		o.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Hostname: ptr.To("h")}}
		o.Ports = []discoveryv1.EndpointPort{{Port: ptr.To[int32](80)}}
		return o
	}
	for name, tc := range map[string]struct {
		change func(*discoveryv1.EndpointSlice)
		told   bool
	}{
		"nothing":      {func(*discoveryv1.EndpointSlice) {}, false},
		"an address":   {func(o *discoveryv1.EndpointSlice) { o.Endpoints[0].Addresses[0] = "10.0.0.2" }, true},
		"a label":      {func(o *discoveryv1.EndpointSlice) { o.Labels["l"] = "v" }, true},
		"a generation": {func(o *discoveryv1.EndpointSlice) { o.Generation++ }, true},
		"a deletion":   {func(o *discoveryv1.EndpointSlice) { deleting(o) }, true},
		"another UID":  {func(o *discoveryv1.EndpointSlice) { o.UID = "b" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			for way, deliver := range map[string]func(*testStore, *discoveryv1.EndpointSlice){
				"event": func(s *testStore, o *discoveryv1.EndpointSlice) { s.Put(o) },
				"list":  func(s *testStore, o *discoveryv1.EndpointSlice) { s.replace([]*discoveryv1.EndpointSlice{o}, "9") },
				"other credentials": func(s *testStore, o *discoveryv1.EndpointSlice) {
					old := newTestStore()
					old.Put(full("5"))
					s.Live.Store(false)
					s.Put(o)
					s.Live.Store(true)
					s.TellDifference(old.Store)
				},
			} {
				s := newTestStore()
				s.Alike = AlikeButVersion[*discoveryv1.EndpointSlice]
				s.Put(full("5"))
				s.told = nil
				o := full("6")
				tc.change(o)
				deliver(s, o)
				if told := len(s.told) > 0; told != tc.told || s.Get(KeyOf(o)).ResourceVersion != "6" || o.ResourceVersion != "6" {
					t.Errorf("%s: told %v, holds version %s", way, s.told, s.Get(KeyOf(o)).ResourceVersion)
				}
			}
		})
	}
}

// BenchmarkUnpick is the end of the interest in a name with many slices.
func BenchmarkUnpick(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			name := types.NamespacedName{Namespace: "n", Name: "s"}
			for b.Loop() {
				b.StopTimer()
				s := newTestStore()
				s.Selection.Of = ofService
				s.Selection.Unknown = func(types.NamespacedName) {}
				s.Pick(name)
				s.begin()
				list := make([]*discoveryv1.EndpointSlice, n)
				for i := range list {
					list[i] = slice(fmt.Sprint("o", i), "s", fmt.Sprint(i), "1")
				}
				s.replace(list, "1")
				b.StartTimer()
				s.Unpick(name)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/slice")
		})
	}
}
