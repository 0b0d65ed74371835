package clusters

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// doubt is what a store does not believe at once (SPEC L6). An object that a watch says was deleted is gone. One that is
// merely absent from a new list may be so because the list is wrong: an etcd restored from nothing, a proxy's empty answer,
// other credentials that see less. When most objects are gone like that, they are held back for a while.
type doubt[T object] struct {
	// of says which objects are worth it; nil for none.
	of func(T) bool
	// removals says that deletions seen by a watch are doubted, too, until they are confirmed: the deletion of a CRD
	// deletes all its objects, and is no wish of their owners.
	removals bool
	// removed is told of a removal that is to be confirmed.
	removed func()
	// hold is how long an absence is doubted.
	hold time.Duration
	// held are the objects that may be gone.
	held map[types.NamespacedName]absence
	// looked is when [store.release] was last called, which it is while the cluster is followed.
	looked time.Time
}

// absence is what is known of an object that may be gone.
type absence struct {
	// until is when that will be believed; zero where it waits for a confirmation instead.
	until time.Time
	// removed is when a watch said so; zero where a list lacked it.
	removed time.Time
}

// believed says whether the object is gone, after an answer to what was asked then; the zero time confirms nothing.
func (a absence) believed(now, asked time.Time) bool {
	if a.until.IsZero() {
		return a.removed.Add(discoveryLag).Before(asked)
	}
	return !now.Before(a.until)
}

// always doubts every object of a kind.
func always[T object](T) bool { return true }

// doubtAbsences has a store doubt that its objects are gone which a list lacks.
func (s *store[T]) doubtAbsences(hold time.Duration) { s.doubt.of, s.doubt.hold = always[T], hold }

// doubtRemovals has a store doubt removals that a watch tells of, too, until they are confirmed; removed is told of each.
func (s *store[T]) doubtRemovals(removed func()) { s.doubt.removals, s.doubt.removed = true, removed }

func (d *doubt[T]) about(o T) bool { return d.of != nil && d.of(o) }

// keepAbsent puts those of the objects before back that a new list lacks, if they are too many to be believed. Own
// deletions are known to be true. s.mu is held.
func (s *store[T]) keepAbsent(before map[types.NamespacedName]T) {
	var absent T
	missing := map[types.NamespacedName]T{}
	all := 0
	for key, o := range before {
		if !s.doubt.about(o) {
			continue
		}
		all++
		if w, ours := s.written[key]; s.objects[key] == absent && !(ours && w.object == absent) {
			missing[key] = o
		}
	}
	now := s.now()
	s.doubtAnew(now)
	for key := range s.doubt.held {
		if _, ok := missing[key]; !ok {
			delete(s.doubt.held, key)
		}
	}
	for key, o := range missing {
		a := s.doubt.held[key]
		if a.until.IsZero() && tooMany(len(missing), all) { // not held yet, or only until a confirmation
			a.until = now.Add(s.doubt.hold)
		}
		if !now.Before(a.until) {
			delete(s.doubt.held, key)
			continue
		}
		s.objects[key], s.doubt.held[key] = o, a
	}
}

// tooMany says whether so many of all objects are missing that it is the list which may be wrong.
func tooMany(missing, all int) bool { return 2*missing > all }

// doubtAnew has all doubts begin again if nobody looked for half of the time that they last: the cluster was away, or this
// process asleep, and what came back meanwhile was not seen. s.mu is held.
func (s *store[T]) doubtAnew(now time.Time) {
	if s.doubt.looked.IsZero() || now.Sub(s.doubt.looked) < s.doubt.hold/2 {
		return
	}
	for key, a := range s.doubt.held {
		if !a.until.IsZero() {
			a.until = now.Add(s.doubt.hold)
			s.doubt.held[key] = a
		}
	}
}

// release lets go of what was held back for long enough, and of what was removed before the API server was asked whether it
// serves the kind, and said so; the zero time confirms nothing. An answer to an earlier question does not: the kind may have
// gone since, and its objects with it.
func (s *store[T]) release(asked time.Time) {
	now := s.now()
	gone := map[types.NamespacedName]absence{}
	s.mu.Lock()
	s.doubtAnew(now)
	s.doubt.looked = now
	for key, a := range s.doubt.held {
		if a.believed(now, asked) {
			gone[key] = a
		}
	}
	s.mu.Unlock()
	for key, a := range gone {
		s.change(key, func() {
			if s.doubt.held[key] != a {
				return // it came back meanwhile, or is doubted anew
			}
			delete(s.doubt.held, key)
			delete(s.objects, key)
			s.index(key)
		})
	}
}

// settle lets a feed's store go of what it held back, unless the feed does not follow its cluster now: then the list that will
// be next may have it all again.
func settle[T object](f *feed[T], asked time.Time) {
	if f.State().Err == nil {
		f.store.release(asked)
	}
}

// suspect has removals that wait for a confirmation held back like absences from a list: the objects' kind was away
// meanwhile, so that its return confirms nothing.
func (s *store[T]) suspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(s.doubt.hold)
	for key, a := range s.doubt.held {
		if a.until.IsZero() {
			a.until = until
			s.doubt.held[key] = a
		}
	}
}

// unconfirmed counts the objects whose removal waits for a confirmation, of all that it is worth doubting, and says when the
// last one was removed.
func (s *store[T]) unconfirmed() (removed, all int, last time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, o := range s.objects {
		if s.doubt.about(o) {
			all++
		}
	}
	for _, a := range s.doubt.held {
		if !a.until.IsZero() {
			continue
		}
		removed++
		if a.removed.After(last) {
			last = a.removed
		}
	}
	return removed, all, last
}

// doubts says whether an object is held back until it is believed gone.
func (s *store[T]) doubts(key types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.doubt.held[key].until.IsZero()
}

// doubted counts the objects that are held back until they are believed gone; not those that wait for a confirmation, which
// takes but a moment.
func (s *store[T]) doubted() (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.doubt.held {
		if !a.until.IsZero() {
			n++
		}
	}
	return n
}
