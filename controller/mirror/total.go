package mirror

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// Total bounds the memory that all objects of a store take, whatever names they belong to (SPEC X6). An object for which there is no
// room ends the watch, and a list that has too much is not taken: what was known before stays, as after any other failure, and the feed
// tries again. Own writes count until the watch confirms them; one without room is not seen before that.
//
// The zero value bounds nothing.
type Total[T Object] struct {
	Weigh func(T) int
	Most  int
	// Refused says that an object is so large that only a stub of it is kept; nil if none is.
	Refused func(T) bool

	used    int
	refused int
	weights map[types.NamespacedName]weight
	listed  int // of the full list that is under way
}

// weight is what the watched and the written object of a key count for.
type weight struct{ bytes, refused int }

// overTotal says that a cluster has more than is kept of it.
func (t *Total[T]) overTotal() error {
	return fmt.Errorf("the cluster has more than %d MiB of them, counted as they are kept in memory", t.Most>>20)
}

// Refused counts the objects of which only a stub is kept.
func (s *Store[T]) Refused() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Total.refused
}

// room returns an error if there is none for an object that the watch reports.
func (s *Store[T]) room(o T) error {
	t := &s.Total
	if t.Weigh == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.keeps(o) && s.reading(o) == nil {
		return nil
	}
	var absent T
	used := t.used + t.Weigh(o)
	if before := s.objects[KeyOf(o)]; before != absent {
		used -= t.Weigh(before)
	}
	if w := s.written[KeyOf(o)]; w.object != absent && !newer(w.version, o.GetResourceVersion()) { // which it confirms, or replaces
		used -= t.Weigh(w.object)
	}
	if used > t.Most {
		return t.overTotal()
	}
	return nil
}

// list counts a part of a full list, of which that is kept, and returns an error if all parts have too much. It is called by
// the feed only.
func (s *Store[T]) list(part []T) error {
	t := &s.Total
	if t.Weigh == nil {
		return nil
	}
	for _, o := range part {
		t.listed += t.Weigh(o)
	}
	if t.listed > t.Most {
		return t.overTotal()
	}
	return nil
}

// count counts the objects of a key anew. s.mu is held.
func (s *Store[T]) count(key types.NamespacedName) {
	t := &s.Total
	if t.Weigh == nil {
		return
	}
	var absent T
	var now weight
	for _, o := range [...]T{s.objects[key], s.written[key].object} {
		if o == absent {
			continue
		}
		now.bytes += t.Weigh(o)
		if t.Refused != nil && t.Refused(o) {
			now.refused++
		}
	}
	before := t.weights[key]
	t.used += now.bytes - before.bytes
	t.refused += now.refused - before.refused
	if now == (weight{}) {
		delete(t.weights, key)
		return
	}
	if t.weights == nil {
		t.weights = map[types.NamespacedName]weight{}
	}
	t.weights[key] = now
}
