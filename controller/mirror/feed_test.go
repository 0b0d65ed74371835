package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/clusterset/multicluster/internal/follow"
)

// TestPagesTakeTurns_L5 holds that clusters which don't answer keep others from reading a page for a moment only.
func TestPagesTakeTurns_L5(t *testing.T) {
	for range pagesAtOnce {
		turn, err := takeTurn(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer turn.Leave()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := takeTurn(gone, nil); err == nil {
		t.Error("a turn was given although all are taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*pageTurn)
	defer cancel()
	began := time.Now()
	turn, err := takeTurn(ctx, nil)
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	turn.Leave()
	for range pagesAtOnce { // and none is lost
		if turn, err = takeTurn(ctx, nil); err != nil {
			t.Fatal(err)
		}
		defer turn.Leave()
	}
}

// TestDecodingTakesTurns_L5: however slowly pages come, no more of them are decoded at once than there are turns, of one cluster no more
// than its share, and a page that is decoded loses its turn to nobody.
func TestDecodingTakesTurns_L5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		share := make(chan struct{}, PagesOfOne)
		var decoding, most atomic.Int32
		var pages sync.WaitGroup
		for range 4 * PagesOfOne {
			pages.Go(func() {
				turn, err := gate{share}.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer turn.Leave()
				time.Sleep(10 * pageTurn) // all of them come late, and together
				if err := turn.Decode(t.Context()); err != nil {
					t.Error(err)
				}
				now := decoding.Add(1)
				defer decoding.Add(-1)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				time.Sleep(3 * pageTurn)
			})
		}
		pages.Wait()
		if got := most.Load(); got != PagesOfOne {
			t.Errorf("%d pages were decoded at once, want %d", got, PagesOfOne)
		}
		if len(share) != 0 || len(turns) != 0 {
			t.Errorf("%d of the share and %d turns are still taken", len(share), len(turns))
		}
	})
}

// TestDoor_X2: objects with names that none can have do not come in, by a list or by a watch, nor do objects of another kind. What has
// no version breaks the feed instead (internal/follow).
func TestDoor_X2(t *testing.T) {
	named := func(namespace, name, version string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}}
	}
	lies := []*discoveryv1.EndpointSlice{named("", "", "3"), named("n", "", "3"), named("", "x", "3"), named("n", "A", "3"), named("n", "a/b", "3"), named("N", "x", "3")}
	s := newTestStore()
	f := NewFeed(Kind[*discoveryv1.EndpointSlice]{Resource: "lies", Trim: func(*discoveryv1.EndpointSlice) {}}, s.Store, func() {})
	refused := 0
	f.Malformed = func(string, error) { refused++ }
	f.Begin()
	for _, o := range append(slices.Clone(lies), named("n", "listed", "1")) {
		if err := f.Set(o); err != nil {
			t.Error(err)
		}
	}
	if len(f.list) != 1 || len(s.All()) != 0 {
		t.Errorf("listed %v, holds %v", f.list, s.All())
	}
	f.End("2")
	for _, o := range append(slices.Clone(lies), named("n", "watched", "4")) {
		for _, take := range []func(follow.Object) error{f.Remove, f.Set, f.Set} {
			if err := take(o); err != nil {
				t.Error(err)
			}
		}
	}
	if all := s.All(); len(all) != 2 || refused != 4*len(lies) {
		t.Errorf("holds %v, %d refused", all, refused)
	}
	for _, take := range []func(follow.Object) error{f.Remove, f.Set} {
		if err := take(&corev1.Node{}); err == nil {
			t.Error("a node is taken for a slice")
		}
	}
}

// TestListAnew_L6: what came of a list that broke off does not count, and the store stays as it was until one is whole.
func TestListAnew_L6(t *testing.T) {
	s := newTestStore()
	f := NewFeed(Kind[*discoveryv1.EndpointSlice]{Resource: "slices", Trim: func(*discoveryv1.EndpointSlice) {}}, s.Store, func() {})
	for _, names := range []string{"a", "bc"} {
		f.Begin()
		for _, name := range names {
			if err := f.Set(slice(string(name), "s", "a", "1")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(s.All()) != 0 {
		t.Errorf("holds %v before a list is whole", s.All())
	}
	f.End("2")
	if all := s.All(); len(all) != 2 {
		t.Errorf("holds %v", all)
	}
}

// fakeSource is a source whose answers a test makes.
type fakeSource struct {
	list  func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error)
	watch func(context.Context) (watch.Interface, error)
}

func (s fakeSource) Page(context.Context, metav1.ListOptions) (follow.Page, error) {
	items, meta, err := s.list()
	return func() (runtime.Object, error) {
		return &discoveryv1.EndpointSliceList{ListMeta: meta, Items: items}, nil
	}, err
}

func (s fakeSource) Watch(ctx context.Context, _ metav1.ListOptions) (follow.Feed, error) {
	w, err := s.watch(ctx)
	if err != nil {
		return nil, err
	}
	return follow.Events(ctx, w), nil
}

// from makes a kind of a source.
func from(s fakeSource) Kind[*discoveryv1.EndpointSlice] {
	return Kind[*discoveryv1.EndpointSlice]{
		Resource: "slices", Trim: func(*discoveryv1.EndpointSlice) {}, Source: func(string) follow.Source { return s },
	}
}

// triesInARow and tryEvery are those of [follow.NewTries].
const (
	triesInARow = 10
	tryEvery    = 15 * time.Second
)

// TestTriesWait_X6: however a server ends watches, it is not asked more often than the bound of tries allows: an event, an opened
// watch or a lost place is no reason to ask again and again. One whose watches last is asked again at once, when its watch ends
// in order or has lost its place.
func TestTriesWait_X6(t *testing.T) {
	gone := apierrors.NewResourceExpired("too old")
	status := gone.Status()
	added := watch.Event{Type: watch.Added, Object: &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x", ResourceVersion: "2"}}}
	expired := watch.Event{Type: watch.Error, Object: &status}
	const most = 2 * (int(time.Hour/tryEvery) + triesInARow + 1) // a try lists, or looks at its place, and watches
	const bookmarks = time.Minute                                // from one to the next
	for name, c := range map[string]struct {
		life    time.Duration // of each watch
		events  []watch.Event
		err     error         // instead of a watch
		most    int           // requests in an hour
		longest time.Duration // without a watch, after the first
	}{
		"closes at once":              {most: most},
		"closes after an event":       {events: []watch.Event{added}, most: most},
		"closes after a second":       {events: []watch.Event{added}, life: time.Second, most: most},
		"does not know the place":     {err: gone, most: most},
		"loses its place at once":     {events: []watch.Event{expired}, most: most},
		"loses it after an event":     {events: []watch.Event{added, expired}, most: most},
		"fails":                       {err: errors.New("no"), most: most},
		"honest":                      {life: 5 * time.Minute, events: []watch.Event{added}, most: 27, longest: time.Millisecond},
		"honest, and loses its place": {life: 5 * time.Minute, events: []watch.Event{added, expired}, most: 27, longest: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, requests := time.Now(), 0
				var ended time.Time
				k := from(fakeSource{
					list: func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
						requests++
						return nil, metav1.ListMeta{ResourceVersion: "2"}, nil
					},
					watch: func(ctx context.Context) (watch.Interface, error) {
						requests++
						if gap := time.Since(ended); c.longest > 0 && !ended.IsZero() && gap > c.longest {
							t.Errorf("nothing was followed for %s", gap)
						}
						if c.err != nil {
							return nil, c.err
						}
						w := watch.NewRaceFreeFake()
						go func() {
							defer w.Stop()
							for left := c.life; left > 0; left -= bookmarks {
								select {
								case <-ctx.Done():
									return
								case <-time.After(min(left, bookmarks)):
								}
								w.Action(watch.Bookmark, added.Object.DeepCopyObject())
							}
							ended = time.Now() // before the event that ends it, for who looks at it then
							for _, e := range c.events {
								w.Action(e.Type, e.Object.DeepCopyObject())
							}
						}()
						return w, nil
					},
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				NewFeed(k, newTestStore().Store, func() {}).Run(ctx)
				if requests > c.most || requests < 10 {
					t.Errorf("%d requests in %s, want at most %d", requests, time.Since(began), c.most)
				}
			})
		})
	}
}

// TestPagesOfOne_L5: a cluster reads as many pages at once as its share has room for, and gives way after a moment if they don't come.
func TestPagesOfOne_L5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		share, began := make(chan struct{}, PagesOfOne), time.Now()
		for range PagesOfOne {
			if _, err := takeTurn(t.Context(), share); err != nil {
				t.Fatal(err)
			}
		}
		other, err := takeTurn(t.Context(), make(chan struct{}, PagesOfOne))
		if err != nil || time.Since(began) != 0 {
			t.Errorf("another cluster waited %s: %v", time.Since(began), err)
		}
		turn, err := takeTurn(t.Context(), share)
		if err != nil || time.Since(began) != pageTurn {
			t.Errorf("one page more took its turn after %s: %v", time.Since(began), err)
		}
		turn.Leave()
		other.Leave()
		synctest.Wait()
		if len(share) != 0 {
			t.Errorf("%d of the share are still taken", len(share))
		}
	})
}

// TestLongVersions_X6: objects with a version that no honest server has are not taken.
func TestLongVersions_X6(t *testing.T) {
	s := newTestStore()
	reported := 0
	f := NewFeed(Kind[*discoveryv1.EndpointSlice]{Trim: func(*discoveryv1.EndpointSlice) {}}, s.Store, func() {})
	f.Malformed = func(string, error) { reported++ }
	if err := f.Set(slice("x", "s", "a", strings.Repeat("1", 1000))); err != nil || len(s.All()) != 0 || reported != 1 {
		t.Errorf("%v, %d objects, %d were reported", err, len(s.All()), reported)
	}
	if err := f.Set(slice("x", "s", "a", "6")); err != nil || len(s.All()) != 1 {
		t.Errorf("after that: %v, %d objects", err, len(s.All()))
	}
}

// TestTriesOutliveFeeds_X6: feeds that follow each other, as when a server serves another version at every probe, ask no more often
// together than one of them.
func TestTriesOutliveFeeds_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		k := from(fakeSource{list: func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
			requests++
			return nil, metav1.ListMeta{}, errors.New("no")
		}})
		tries := follow.NewTries(0)
		for range 720 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			f := NewFeed(k, newTestStore().Store, func() {})
			f.Tries = tries
			f.Run(ctx)
			cancel()
		}
		if most := int(time.Hour/tryEvery) + triesInARow + 1; requests > most || requests < triesInARow {
			t.Errorf("%d requests in an hour, want at most %d", requests, most)
		}
	})
}
