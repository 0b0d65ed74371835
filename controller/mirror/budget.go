package mirror

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// rereadEvery is how long a group of which something is left out stays so at least: whoever makes room again and again must not
// have it read as often.
const rereadEvery = 15 * time.Second

// Weight is what an object counts for, in several ways.
type Weight [4]int32

// Budget bounds what a store keeps of each group, which is a name of its selection (SPEC X6). It keeps the objects with the first names,
// as many as there is room for, and drops the others: of those nothing stays but the name and the weight of the first. When there is
// room for that one, or it is gone, the name is read anew, as if it had just been selected.
//
// The zero value bounds nothing.
type Budget[T Object] struct {
	Weigh func(T) Weight
	Most  Weight
	// Told is told, outside the lock, of a group of which something is left out, or no longer is.
	Told func(group types.NamespacedName)

	used    map[types.NamespacedName]Weight
	weights map[types.NamespacedName]weighed
	left    map[types.NamespacedName]*leftOut
	firsts  map[types.NamespacedName]types.NamespacedName // of each in left, by the object's key
	listed  map[types.NamespacedName]Weight               // of the full list that is under way
	tell    []types.NamespacedName
}

// weighed is an object that is kept.
type weighed struct {
	group  types.NamespacedName
	weight Weight
}

// leftOut is what is known of the objects of a group that are left out: the first of them, what would be exceeded, and since when.
type leftOut struct {
	first  string
	weight Weight
	by     int
	since  time.Time
}

func (w Weight) plus(other Weight) Weight {
	for i := range w {
		w[i] += other[i]
	}
	return w
}

func (w Weight) minus(other Weight) Weight {
	for i := range w {
		w[i] -= other[i]
	}
	return w
}

// over returns the first of most that is exceeded.
func (w Weight) over(most Weight) (by int, is bool) {
	for i := range w {
		if w[i] > most[i] {
			return i, true
		}
	}
	return 0, false
}

// LeftOut reports whether something of a group is left out, and which part of the budget would be exceeded otherwise.
func (s *Store[T]) LeftOut(group types.NamespacedName) (by int, is bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if left := s.Budget.left[group]; left != nil {
		return left.by, true
	}
	return 0, false
}

// ration weighs the object of key, which was just indexed, and drops of its group what there is no room for. s.mu is held.
func (s *Store[T]) ration(key types.NamespacedName) {
	b := &s.Budget
	var absent T
	o := s.objects[key]
	if b.Weigh == nil || o == absent {
		return
	}
	group, ok := s.group(o)
	if !ok {
		return
	}
	if b.used == nil {
		b.used, b.weights = map[types.NamespacedName]Weight{}, map[types.NamespacedName]weighed{}
		b.left, b.firsts = map[types.NamespacedName]*leftOut{}, map[types.NamespacedName]types.NamespacedName{}
	}
	weight := b.Weigh(o)
	b.weights[key] = weighed{group, weight}
	b.used[group] = b.used[group].plus(weight)
	if left := b.left[group]; left != nil && key.Name >= left.first {
		if key.Name == left.first {
			left.weight, b.firsts[key] = weight, group
		}
		s.drop(key)
		return
	}
	for {
		by, over := b.used[group].over(b.Most)
		if !over {
			return
		}
		last := s.last(group)
		b.unleave(group)
		b.firsts[last] = group
		b.left[group] = &leftOut{first: last.Name, weight: b.weights[last].weight, by: by, since: s.now()}
		b.note(group)
		s.drop(last)
	}
}

// last returns the last name of a group. s.mu is held.
func (s *Store[T]) last(group types.NamespacedName) (last types.NamespacedName) {
	for _, key := range s.groups[group] {
		if strings.Compare(key.Name, last.Name) > 0 {
			last = key
		}
	}
	return last
}

// drop forgets an object. s.mu is held.
func (s *Store[T]) drop(key types.NamespacedName) {
	delete(s.objects, key)
	delete(s.Doubt.held, key)
	s.unindex(key)
	s.count(key)
}

// forget takes an object off what its group uses.
func (b *Budget[T]) forget(key types.NamespacedName) {
	w, ok := b.weights[key]
	if !ok {
		return
	}
	delete(b.weights, key)
	if used := b.used[w.group].minus(w.weight); used != (Weight{}) {
		b.used[w.group] = used
	} else {
		delete(b.used, w.group)
	}
}

// note has a group told, once for many objects of it in a row.
func (b *Budget[T]) note(group types.NamespacedName) {
	if n := len(b.tell); n == 0 || b.tell[n-1] != group {
		b.tell = append(b.tell, group)
	}
}

// anew notes that all of a group is about to be known again.
func (b *Budget[T]) anew(group types.NamespacedName) {
	if b.left[group] != nil {
		b.unleave(group)
		b.note(group)
	}
}

// unleave forgets what is left out of a group.
func (b *Budget[T]) unleave(group types.NamespacedName) {
	if left := b.left[group]; left != nil {
		delete(b.left, group)
		if key := (types.NamespacedName{Namespace: group.Namespace, Name: left.first}); b.firsts[key] == group { // else it moved
			delete(b.firsts, key)
		}
	}
}

// moved notes that an object is of another group now than that of which it may be the first that is left out. s.mu is held.
func (s *Store[T]) moved(o T) {
	was, first := s.Budget.firsts[KeyOf(o)]
	if !first {
		return
	}
	if group, ok := s.group(o); !ok || group != was {
		s.Budget.left[was].weight = Weight{}
		delete(s.Budget.firsts, KeyOf(o))
	}
}

// gone notes that an object does not exist, which may be the first that is left out. s.mu is held.
func (s *Store[T]) gone(o T) {
	if len(s.Budget.left) == 0 {
		return
	}
	if group, ok := s.group(o); ok {
		if left := s.Budget.left[group]; left != nil && left.first == o.GetName() {
			left.weight = Weight{}
		}
	}
}

// reread selects the names anew for whose first object that is left out there is room now, and returns them. s.mu is held.
func (s *Store[T]) reread(now time.Time) (names []types.NamespacedName) {
	b := &s.Budget
	for name, left := range b.left {
		r := s.Selection.names[name]
		if _, over := b.used[name].plus(left.weight).over(b.Most); over || r == nil || !r.known || now.Sub(left.since) < rereadEvery {
			continue
		}
		r.known, r.version, r.missed, r.weight = false, s.Selection.version, nil, Weight{}
		names = append(names, name)
	}
	return names
}

// within returns those objects of a part of a list that there may be room for, by what was taken of each group before. One more than
// that is among them, so that something is seen to be left out.
func (b *Budget[T]) within(list []T, taken map[types.NamespacedName]Weight, group func(T) (types.NamespacedName, bool)) []T {
	if b.Weigh == nil {
		return list
	}
	kept := list[:0]
	for _, o := range list {
		if g, ok := group(o); ok {
			if _, over := taken[g].over(b.Most); over {
				continue
			}
			taken[g] = taken[g].plus(b.Weigh(o))
		}
		kept = append(kept, o)
	}
	clear(list[len(kept):])
	return kept
}

// unlock ends what [Store.mu] was held for, and tells of what is left out since.
func (s *Store[T]) unlock() {
	tell := s.Budget.tell
	s.Budget.tell = nil
	s.mu.Unlock()
	for _, group := range tell {
		s.Budget.Told(group)
	}
}
