package clusters

import (
	"maps"
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
	// held are the objects that may be gone, by when that will be believed; the zero time waits for a confirmation.
	held map[types.NamespacedName]time.Time
	// since says of those that wait for a confirmation when they were removed.
	since map[types.NamespacedName]time.Time
}

// always doubts every object of a kind.
func always[T object](T) bool { return true }

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
	tooMany := 2*len(missing) > all
	now := s.now()
	for key := range s.doubt.held {
		if _, ok := missing[key]; !ok {
			delete(s.doubt.held, key)
		}
	}
	for key, o := range missing {
		until := s.doubt.held[key]
		if until.IsZero() && tooMany { // not held yet, or only until a confirmation
			until = now.Add(s.doubt.hold)
		}
		if !now.Before(until) {
			delete(s.doubt.held, key)
			continue
		}
		s.objects[key] = o
		s.doubt.held[key] = until
	}
}

// release lets go of what was held back for long enough, and of what was removed before the API server was asked whether it
// serves the kind, and said so; the zero time confirms nothing. An answer to an earlier question does not: the kind may have
// gone since, and its objects with it.
func (s *store[T]) release(asked time.Time) {
	now := s.now()
	s.mu.Lock()
	var gone []types.NamespacedName
	for key, until := range s.doubt.held {
		if until.IsZero() && s.doubt.since[key].Add(discoveryLag).Before(asked) || !until.IsZero() && !now.Before(until) {
			gone = append(gone, key)
		}
	}
	maps.DeleteFunc(s.doubt.since, func(key types.NamespacedName, _ time.Time) bool {
		until, held := s.doubt.held[key]
		return !held || !until.IsZero()
	})
	s.mu.Unlock()
	for _, key := range gone {
		s.change(key, func() {
			if until, held := s.doubt.held[key]; !held || until.After(now) {
				return // it came back meanwhile
			}
			delete(s.doubt.held, key)
			delete(s.objects, key)
			s.index(key)
		})
	}
}

// suspect has removals that wait for a confirmation held back like absences from a list: the objects' kind was away
// meanwhile, so that its return confirms nothing.
func (s *store[T]) suspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(s.doubt.hold)
	for key, t := range s.doubt.held {
		if t.IsZero() {
			s.doubt.held[key] = until
		}
	}
}

// doubts says whether an object is held back until it is believed gone.
func (s *store[T]) doubts(key types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.doubt.held[key].IsZero()
}

// doubted counts the objects that are held back.
func (s *store[T]) doubted() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.doubt.held)
}
