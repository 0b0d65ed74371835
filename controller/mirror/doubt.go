package mirror

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// DiscoveryLag is how long the API server may need to say of a CRD that it is about to go, after it began to delete its objects.
const DiscoveryLag = 100 * time.Millisecond

// doubt is what a store does not believe at once (SPEC L6). An object that a watch says was deleted is gone. One that is
// merely absent from a new list may be so because the list is wrong: an etcd restored from nothing, a proxy's empty answer,
// other credentials that see less. When most objects are gone like that, they are held back for a while.
type doubt[T Object] struct {
	// Of says which objects are worth it; nil for none.
	Of func(T) bool
	// removals says that deletions seen by a watch are doubted, too, until they are confirmed: the deletion of a CRD
	// deletes all its objects, and is no wish of their owners.
	removals bool
	// removed is told of a removal that is to be confirmed.
	removed func()
	// Hold is how long an absence is doubted.
	Hold time.Duration
	// held are the objects that may be gone.
	held map[types.NamespacedName]Absence
	// looked is when [Store.release] was last called, which it is while the cluster is followed.
	looked time.Time
}

// Absence is what is known of an object that may be gone.
type Absence struct {
	// Until is when that will be believed; zero where it waits for a confirmation instead.
	Until time.Time
	// removed is when a watch said so; zero where a list lacked it.
	removed time.Time
}

// Believed says whether the object is gone, after an answer to what was asked then; the zero time confirms nothing.
func (a Absence) Believed(now, asked time.Time) bool {
	if a.Until.IsZero() {
		return a.removed.Add(DiscoveryLag).Before(asked)
	}
	return !now.Before(a.Until)
}

// Always doubts every object of a kind.
func Always[T Object](T) bool { return true }

// DoubtAbsences has a store doubt that its objects are gone which a list lacks.
func (s *Store[T]) DoubtAbsences(hold time.Duration) { s.Doubt.Of, s.Doubt.Hold = Always[T], hold }

// DoubtRemovals has a store doubt removals that a watch tells of, too, until they are confirmed; removed is told of each.
func (s *Store[T]) DoubtRemovals(removed func()) { s.Doubt.removals, s.Doubt.removed = true, removed }

func (d *doubt[T]) about(o T) bool { return d.Of != nil && d.Of(o) }

// keepAbsent puts those of the objects before back that a new list lacks, if they are too many to be believed. Own
// deletions are known to be true. s.mu is held.
func (s *Store[T]) keepAbsent(before map[types.NamespacedName]T) {
	var absent T
	missing := map[types.NamespacedName]T{}
	all := 0
	for key, o := range before {
		if !s.Doubt.about(o) {
			continue
		}
		all++
		if w, ours := s.written[key]; s.objects[key] == absent && !(ours && w.object == absent) {
			missing[key] = o
		}
	}
	now := s.now()
	s.doubtAnew(now)
	for key := range s.Doubt.held {
		if _, ok := missing[key]; !ok {
			delete(s.Doubt.held, key)
		}
	}
	for key, o := range missing {
		a := s.Doubt.held[key]
		if a.Until.IsZero() && tooMany(len(missing), all) { // not held yet, or only until a confirmation
			a.Until = now.Add(s.Doubt.Hold)
		}
		if !now.Before(a.Until) {
			delete(s.Doubt.held, key)
			continue
		}
		s.objects[key], s.Doubt.held[key] = o, a
	}
}

// tooMany says whether so many of all objects are missing that it is the list which may be wrong.
func tooMany(missing, all int) bool { return 2*missing > all }

// doubtAnew has all doubts begin again if nobody looked for half of the time that they last: the cluster was away, or this
// process asleep, and what came back meanwhile was not seen. s.mu is held.
func (s *Store[T]) doubtAnew(now time.Time) {
	if s.Doubt.looked.IsZero() || now.Sub(s.Doubt.looked) < s.Doubt.Hold/2 {
		return
	}
	for key, a := range s.Doubt.held {
		if !a.Until.IsZero() {
			a.Until = now.Add(s.Doubt.Hold)
			s.Doubt.held[key] = a
		}
	}
}

// release has names read anew for whose objects there is room again, lets go of what was held back for long enough, and of what was removed before the API server was asked whether it
// serves the kind, and said so; the zero time confirms nothing. An answer to an earlier question does not: the kind may have
// gone since, and its objects with it.
func (s *Store[T]) release(asked time.Time) {
	now := s.now()
	gone := map[types.NamespacedName]Absence{}
	s.mu.Lock()
	s.doubtAnew(now)
	s.Doubt.looked = now
	for key, a := range s.Doubt.held {
		if a.Believed(now, asked) {
			gone[key] = a
		}
	}
	unknown := s.reread(now)
	s.mu.Unlock()
	for _, name := range unknown {
		s.Selection.Unknown(name)
	}
	for key, a := range gone {
		s.change(key, func() {
			if s.Doubt.held[key] != a {
				return // it came back meanwhile, or is doubted anew
			}
			delete(s.Doubt.held, key)
			delete(s.objects, key)
			s.index(key)
		})
	}
}

// Settle lets a feed's store go of what it held back, unless the feed does not follow its cluster now: then the list that will
// be next may have it all again.
func Settle[T Object](f *Feed[T], asked time.Time) {
	if f.State().Err == nil {
		f.Store.release(asked)
	}
}

// Suspect has removals that wait for a confirmation held back like absences from a list: the objects' kind was away
// meanwhile, so that its return confirms nothing.
func (s *Store[T]) Suspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(s.Doubt.Hold)
	for key, a := range s.Doubt.held {
		if a.Until.IsZero() {
			a.Until = until
			s.Doubt.held[key] = a
		}
	}
}

// Unconfirmed counts the objects whose removal waits for a confirmation, of all that it is worth doubting, and says when the
// last one was removed.
func (s *Store[T]) Unconfirmed() (removed, all int, last time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, o := range s.objects {
		if s.Doubt.about(o) {
			all++
		}
	}
	for _, a := range s.Doubt.held {
		if !a.Until.IsZero() {
			continue
		}
		removed++
		if a.removed.After(last) {
			last = a.removed
		}
	}
	return removed, all, last
}

// Doubts says whether an object is held back until it is believed gone.
func (s *Store[T]) Doubts(key types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.Doubt.held[key].Until.IsZero()
}

// Doubted counts the objects that are held back until they are believed gone; not those that wait for a confirmation, which
// takes but a moment.
func (s *Store[T]) Doubted() (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, a := range s.Doubt.held {
		if !a.Until.IsZero() {
			n++
		}
	}
	return n
}
