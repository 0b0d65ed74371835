package mirror

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// totalled returns a store with room for 20 endpoints; a slice with more than 9 is refused.
func totalled() *testStore {
	s := newTestStore()
	s.Total = Total[*discoveryv1.EndpointSlice]{
		Most:    20,
		Weigh:   func(o *discoveryv1.EndpointSlice) int { return len(o.Endpoints) },
		Refused: func(o *discoveryv1.EndpointSlice) bool { return len(o.Endpoints) > 9 },
	}
	return s
}

// TestTotal_X6: whatever comes and goes, by events, lists and own writes, what is counted is what is kept, and that is never more than
// there is room for.
func TestTotal_X6(t *testing.T) {
	r, seed := random()
	s := totalled()
	version, full, written := 1, 0, 0
	for step := range 20_000 {
		version++
		o := sized(fmt.Sprint("o", r.IntN(9)), version, 1+r.IntN(12))
		switch r.IntN(8) {
		case 0:
			s.take(change[*discoveryv1.EndpointSlice]{o, true})
		case 1:
			s.begin()
			var list []*discoveryv1.EndpointSlice
			err := error(nil)
			for n := range r.IntN(9) {
				list = append(list, sized(fmt.Sprint("o", n), version, r.IntN(12)))
				if err = s.list(list[n:]); err != nil {
					break
				}
			}
			if err == nil {
				s.replace(list, fmt.Sprint(version))
			} else {
				full++
			}
		case 2:
			s.Wrote(o)
			if got := s.Get(KeyOf(o)); got != o && got != s.objects[KeyOf(o)] {
				t.Fatalf("seed %d, step %d: readers see an earlier write", seed, step)
			}
			if w := s.written[KeyOf(o)]; w.object == o {
				written++
				if err := s.room(o); err != nil && s.Total.used <= s.Total.Most {
					t.Fatalf("seed %d, step %d: no room for what confirms a write: %v", seed, step, err)
				}
			} else {
				full++
			}
		case 3:
			s.Deleted(o)
		default:
			if s.room(o) != nil {
				full++
				continue
			}
			s.take(change[*discoveryv1.EndpointSlice]{object: o})
		}
		used, refused := 0, 0
		for _, held := range s.objects {
			used += len(held.Endpoints)
			if len(held.Endpoints) > 9 {
				refused++
			}
		}
		if used > s.Total.Most {
			t.Fatalf("seed %d, step %d: %d are kept", seed, step, used)
		}
		for _, w := range s.written {
			if w.object != nil {
				used += len(w.object.Endpoints)
				if len(w.object.Endpoints) > 9 {
					refused++
				}
			}
		}
		if used != s.Total.used || refused != s.Refused() || used > 2*s.Total.Most {
			t.Fatalf("seed %d, step %d: %d are kept, %d refused; counted are %d and %d", seed, step, used, refused, s.Total.used, s.Refused())
		}
	}
	if full < 100 || written < 100 {
		t.Errorf("there was too much only %d times, and %d own writes were taken", full, written)
	}
}

// TestOwnWriteAnew_X6: an own write takes the place of an earlier one, and its weight; where there is no room for it, what the watch
// reported is seen.
func TestOwnWriteAnew_X6(t *testing.T) {
	s := totalled()
	s.Put(sized("other", 1, 10))
	s.Put(sized("x", 2, 3))
	for step, c := range []struct {
		endpoints int
		seen      bool
	}{{4, true}, {7, true}, {8, false}, {5, true}} {
		o := sized("x", 3+step, c.endpoints)
		s.Wrote(o)
		if got := s.Get(KeyOf(o)); (got == o) != c.seen || !c.seen && got != s.objects[KeyOf(o)] {
			t.Errorf("after a write of %d endpoints, one of %d is seen", c.endpoints, len(got.Endpoints))
		}
	}
}

// TestEndlessObjects_X6: a watch that creates objects without end, or a list of too many, ends in an error that says so; what is kept
// stays and is bounded. When the cluster has less again, it is followed.
func TestEndlessObjects_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var there atomic.Int64 // objects of one endpoint in the list
		var lists atomic.Int64
		there.Store(5)
		k := from(fakeSource{
			list: func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
				lists.Add(1)
				var list []discoveryv1.EndpointSlice
				for n := range there.Load() {
					list = append(list, *sized(fmt.Sprint("o", n), 10, 1))
				}
				return list, metav1.ListMeta{ResourceVersion: "10"}, nil
			},
			watch: func(ctx context.Context) (watch.Interface, error) {
				events := make(chan watch.Event)
				go func() {
					defer close(events)
					for n := int64(5); ; n++ {
						if there.Load() < 5 {
							<-ctx.Done()
							return
						}
						there.Store(n + 1)
						select {
						case events <- watch.Event{Type: watch.Added, Object: sized(fmt.Sprint("o", n), int(20+n), 1)}:
						case <-ctx.Done():
							return
						case <-time.After(time.Minute):
							return
						}
					}
				}()
				return watch.NewProxyWatcher(events), nil
			},
		})
		s := totalled()
		f := NewFeed(k, s.Store, func() {})
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := f.State().Err; err == nil || !strings.Contains(err.Error(), "more than 0 MiB") || !f.State().Synced {
			t.Errorf("the state is %v", f.State())
		}
		if n := len(s.All()); n != 20 {
			t.Errorf("%d are kept, want 20", n)
		}
		if most := int64(time.Hour/(15*time.Second)) + 20; lists.Load() > most {
			t.Errorf("%d lists in an hour, want at most %d", lists.Load(), most)
		}
		there.Store(3)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, err := len(s.All()), f.State().Err; n != 3 || err != nil {
			t.Errorf("%d are kept, want 3; %v", n, err)
		}
		cancel()
		<-done
	})
}
