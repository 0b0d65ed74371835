package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// TestPagesTakeTurns_L5 holds that clusters which don't answer keep others from reading a page for a moment only.
func TestPagesTakeTurns_L5(t *testing.T) {
	for range pagesAtOnce {
		done, err := takeTurn(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := takeTurn(gone, nil); err == nil {
		t.Error("a turn was given although all are taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*pageTurn)
	defer cancel()
	began := time.Now()
	done, err := takeTurn(ctx, nil)
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	done()
	for range pagesAtOnce { // and none is lost
		if done, err = takeTurn(ctx, nil); err != nil {
			t.Fatal(err)
		}
		defer done()
	}
}

// TestDoor_X2: objects with names that none can have do not come in, by a list or by a watch, and what has no version, which
// would mean that nothing was read yet, breaks the feed instead.
func TestDoor_X2(t *testing.T) {
	named := func(namespace, name, version string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version}}
	}
	lies := []*discoveryv1.EndpointSlice{named("", "", "3"), named("n", "", "3"), named("", "x", "3"), named("n", "A", "3"), named("n", "a/b", "3"), named("N", "x", "3")}
	version := "2"
	k := Kind[*discoveryv1.EndpointSlice]{
		Resource: "lies",
		List: func(context.Context, string, metav1.ListOptions) ([]*discoveryv1.EndpointSlice, metav1.ListMeta, error) {
			return append(slices.Clone(lies), named("n", "listed", "1")), metav1.ListMeta{ResourceVersion: version}, nil
		},
		Trim: func(*discoveryv1.EndpointSlice) {},
	}
	s := newTestStore()
	f := NewFeed(k, s.Store, func() {})
	refused := 0
	f.Malformed = func(string, error) { refused++ }
	listed, at, err := f.listAll(t.Context())
	if err != nil || at != "2" || len(listed) != 1 {
		t.Fatalf("listed %v at %q: %v", listed, at, err)
	}
	s.replace(listed, at)
	for _, o := range append(slices.Clone(lies), named("n", "watched", "4")) {
		for _, verb := range []watch.EventType{watch.Deleted, watch.Added, watch.Modified} {
			if err := f.take(watch.Event{Type: verb, Object: o}); err != nil {
				t.Error(err)
			}
		}
	}
	if all := s.All(); len(all) != 2 || f.version != "4" || refused != 4*len(lies) {
		t.Errorf("holds %v at %s, %d refused", all, f.version, refused)
	}
	if err := f.take(watch.Event{Type: watch.Added, Object: named("n", "y", "")}); !errors.Is(err, errNoVersion) || f.version != "4" {
		t.Errorf("an object without a version: %v, now at %q", err, f.version)
	}
	if err := f.take(watch.Event{Type: watch.Bookmark, Object: named("", "", "")}); err != nil || f.version != "4" {
		t.Errorf("a bookmark without a version: %v, now at %q", err, f.version)
	}
	version = ""
	if _, _, err := f.listAll(t.Context()); !errors.Is(err, errNoVersion) {
		t.Errorf("a list without a version: %v", err)
	}
}

// TestTriesWait_X6: however a server ends watches, it is not asked more often than the bound of tries allows: an event, an opened
// watch or a lost place is no reason to ask again and again. One whose watches last is asked again at once, when its watch ends
// in order or has lost its place.
func TestTriesWait_X6(t *testing.T) {
	gone := apierrors.NewResourceExpired("too old")
	status := gone.Status()
	added := watch.Event{Type: watch.Added, Object: &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x", ResourceVersion: "2"}}}
	expired := watch.Event{Type: watch.Error, Object: &status}
	const most = 2 * (int(time.Hour/tryEvery) + triesInARow + 1) // a try lists, or looks at its place, and watches
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
				k := Kind[*discoveryv1.EndpointSlice]{
					Resource: "slices",
					List: func(context.Context, string, metav1.ListOptions) ([]*discoveryv1.EndpointSlice, metav1.ListMeta, error) {
						requests++
						return nil, metav1.ListMeta{ResourceVersion: "2"}, nil
					},
					Watch: func(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
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
							select {
							case <-ctx.Done():
								return
							case <-time.After(c.life):
							}
							ended = time.Now() // before the event that ends it, for who looks at it then
							for _, e := range c.events {
								w.Action(e.Type, e.Object.DeepCopyObject())
							}
						}()
						return w, nil
					},
					Trim: func(*discoveryv1.EndpointSlice) {},
				}
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
		done, err := takeTurn(t.Context(), share)
		if err != nil || time.Since(began) != pageTurn {
			t.Errorf("one page more took its turn after %s: %v", time.Since(began), err)
		}
		done()
		other()
		synctest.Wait()
		if len(share) != 0 {
			t.Errorf("%d of the share are still taken", len(share))
		}
	})
}

// TestLongVersions_X6: events with a version that no honest server has are not taken, and no watch begins at one; a list with one is
// refused.
func TestLongVersions_X6(t *testing.T) {
	long := strings.Repeat("1", 1000)
	s := newTestStore()
	reported := 0
	kind := Kind[*discoveryv1.EndpointSlice]{Trim: func(*discoveryv1.EndpointSlice) {}}
	kind.List = func(context.Context, string, metav1.ListOptions) ([]*discoveryv1.EndpointSlice, metav1.ListMeta, error) {
		return nil, metav1.ListMeta{ResourceVersion: long}, nil
	}
	f := NewFeed(kind, s.Store, func() {})
	f.Malformed, f.version = func(string, error) { reported++ }, "5"
	for _, e := range []watch.Event{{Type: watch.Added, Object: slice("x", "s", "a", long)}, {Type: watch.Bookmark, Object: slice("", "", "", long)}} {
		if err := f.take(e); err != nil || f.version != "5" || len(s.All()) != 0 {
			t.Errorf("%s: %v, at %.20s, %d objects", e.Type, err, f.version, len(s.All()))
		}
	}
	if reported != 1 {
		t.Errorf("%d were reported", reported)
	}
	if err := f.take(watch.Event{Type: watch.Added, Object: slice("x", "s", "a", "6")}); err != nil || f.version != "6" || len(s.All()) != 1 {
		t.Errorf("after that: %v, at %s, %d objects", err, f.version, len(s.All()))
	}
	if _, _, err := f.listAll(t.Context()); !errors.Is(err, errLongVersion) {
		t.Errorf("the list: %v", err)
	}
}

// TestTriesOutliveFeeds_X6: feeds that follow each other, as when a server serves another version at every probe, ask no more often
// together than one of them.
func TestTriesOutliveFeeds_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		k := Kind[*discoveryv1.EndpointSlice]{
			Resource: "slices",
			List: func(context.Context, string, metav1.ListOptions) ([]*discoveryv1.EndpointSlice, metav1.ListMeta, error) {
				requests++
				return nil, metav1.ListMeta{}, errors.New("no")
			},
		}
		tries := NewTries()
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
