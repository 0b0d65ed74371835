package mirror

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// selection is what a store keeps: the objects of names that somebody exports. A cluster holds far more Services and slices
// than it exports; what nobody exports is dropped as soon as it is decoded, leaves not even its name behind, and makes no
// work when it changes. When an export of its name appears, the name is read anew, and is "not known" until that has come:
// nothing may be concluded from what the store does not hold of it (SPEC L3, L6).
//
// The zero value keeps everything and knows every name.
type selection[T Object] struct {
	// Of gives the name that an object would be exported under; nil keeps everything.
	Of func(T) (name types.NamespacedName, ok bool)
	// Anyway says that an object is kept whether or not its name is exported; nil for none.
	Anyway func(T) bool
	// Unknown is told, outside the lock, of a name that is to be read, see [Store.wanted].
	Unknown func(name types.NamespacedName)

	names map[types.NamespacedName]*reading[T]
	// lists counts the full lists that were begun, version is that of the last event or list that was taken; empty before
	// the first.
	lists   int
	version string
}

// reading is how far a selected name is known.
type reading[T Object] struct {
	// lists is how many full lists were begun before the name was selected: only a later one tells all of it.
	lists int
	known bool
	// version is that of the list by which the name became known: events up to it are in that already. Until then it is
	// the version that such a list must have reached.
	version string
	// missed, until the name is known, is the last that the watch told of each of its objects.
	missed map[types.NamespacedName]change[T]
	weight Weight // of missed
}

// change is one event of a watch.
type change[T Object] struct {
	object T
	gone   bool
}

// notAfter says whether version a is known to be that of the same write as b or of an earlier one.
func notAfter(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c <= 0
}

// Pick selects a name. It is not known until the next full list that begins, or until [Store.learn].
func (s *Store[T]) Pick(name types.NamespacedName) {
	s.mu.Lock()
	if s.Selection.names[name] != nil {
		s.mu.Unlock()
		return
	}
	if s.Selection.names == nil {
		s.Selection.names = map[types.NamespacedName]*reading[T]{}
	}
	s.Selection.names[name] = &reading[T]{lists: s.Selection.lists, version: s.Selection.version}
	listed := s.Selection.version != ""
	s.mu.Unlock()
	if listed {
		s.Selection.Unknown(name)
	}
}

// Unpick ends the selection of a name and drops its objects, without telling: nobody reads what is not exported.
func (s *Store[T]) Unpick(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Selection.names[name] == nil {
		return
	}
	for _, key := range s.named(name) {
		s.set(change[T]{s.objects[key], true})
		delete(s.Doubt.held, key)
	}
	delete(s.Selection.names, name)
	s.Budget.unleave(name)
}

// Picked returns the names that are selected.
func (s *Store[T]) Picked() map[types.NamespacedName]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make(map[types.NamespacedName]bool, len(s.Selection.names))
	for name := range s.Selection.names {
		names[name] = true
	}
	return names
}

// Knows says whether the store holds all that there is of a selected name.
func (s *Store[T]) Knows(name types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.Selection.names[name]
	return s.Selection.Of == nil || r != nil && r.known
}

// wanted says whether a name is to be read, in a state of the cluster that is not older than since.
func (s *Store[T]) wanted(name types.NamespacedName) (since string, yes bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.Selection.names[name]
	if r == nil || r.known || r.version == "" { // before the first list, that is what tells
		return "", false
	}
	return r.version, true
}

// learn takes all objects of a name that was wanted, as read at version. Changes are not told one by one: whoever reads the
// name is to look at it again.
func (s *Store[T]) learn(name types.NamespacedName, list []T, version string) {
	s.mu.Lock()
	defer s.unlock()
	r := s.Selection.names[name]
	if r == nil || r.known || newer(r.version, version) {
		return // not selected any more; a full list came first; or one that tells more, so that the name is wanted anew
	}
	missed := r.missed
	r.known, r.version, r.missed, r.weight = true, version, nil, Weight{}
	// Of another name nothing was asked for.
	list = slices.DeleteFunc(list, func(o T) bool { return s.reading(o) != r })
	listed := make(map[types.NamespacedName]bool, len(list))
	for _, o := range list {
		listed[KeyOf(o)] = true
	}
	for _, key := range s.named(name) { // first what goes, or there is no room for what comes
		if _, doubted := s.Doubt.held[key]; !listed[key] && !doubted {
			s.set(change[T]{s.objects[key], true})
		}
	}
	s.Budget.anew(name)
	for _, o := range list {
		s.set(change[T]{object: o})
	}
	for _, e := range missed {
		if !notAfter(e.object.GetResourceVersion(), version) {
			s.set(e)
		}
	}
}

// set makes the outcome of an event what is watched, but for objects that are kept anyway, of which the watch tells all.
// s.mu is held.
func (s *Store[T]) set(e change[T]) {
	if s.keeps(e.object) {
		return
	}
	key := KeyOf(e.object)
	if e.gone {
		delete(s.objects, key)
		s.gone(e.object)
	} else {
		s.objects[key] = e.object
	}
	s.index(key)
}

// take takes an event of the watch, as far as it is about what the store keeps.
func (s *Store[T]) take(e change[T]) {
	switch e, ok := s.judge(e); {
	case !ok:
	case e.gone:
		s.remove(e.object)
	default:
		s.Put(e.object)
	}
}

// judge returns what an event comes to, and whether it is to be taken now.
func (s *Store[T]) judge(e change[T]) (change[T], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Selection.version = e.object.GetResourceVersion()
	s.moved(e.object)
	if s.keeps(e.object) {
		return e, true
	}
	old, held := s.objects[KeyOf(e.object)]
	r := s.reading(e.object)
	switch {
	case r == nil: // nobody exports it, or not since it was relabelled
		e.gone = true
		return e, held
	case r.known:
		return e, !notAfter(s.Selection.version, r.version)
	}
	if r.missed == nil {
		r.missed = map[types.NamespacedName]change[T]{}
	}
	r.missed[KeyOf(e.object)] = e
	if s.Budget.Weigh != nil {
		r.weight = r.weight.plus(s.Budget.Weigh(e.object))
		if _, over := r.weight.over(s.Budget.Most); over { // then only a reading that has it all will do
			r.missed, r.weight, r.version = nil, Weight{}, s.Selection.version
		}
	}
	e.gone = true // as far as another name goes that it was relabelled from
	return e, held && s.reading(old) != r
}

// begin notes that a full list begins.
func (s *Store[T]) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Selection.lists++
	s.Budget.listed, s.Total.listed = map[types.NamespacedName]Weight{}, 0
}

// sift returns those objects of a part of a full list that are worth keeping until it is complete.
func (s *Store[T]) sift(list []T) []T { return s.siftOf(list, s.Budget.listed) }

// siftOf is sift for any list; taken is what was taken of it before.
func (s *Store[T]) siftOf(list []T, taken map[types.NamespacedName]Weight) []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	kept := list[:0]
	for _, o := range list {
		if s.keeps(o) || s.reading(o) != nil {
			kept = append(kept, o)
		}
	}
	return s.Budget.within(kept, taken, s.group)
}

// surveyed marks the names that a full list of version told all of, and returns those that it did not, because they were
// selected while it was under way. s.mu is held.
func (s *Store[T]) surveyed(version string) (unknown []types.NamespacedName) {
	s.Selection.version = version
	for name, r := range s.Selection.names {
		*r = reading[T]{lists: r.lists, known: r.lists < s.Selection.lists, version: version}
		if !r.known {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// inList says whether a full list that was just taken tells of an object. s.mu is held.
func (s *Store[T]) inList(o T) bool {
	if s.keeps(o) {
		return true
	}
	r := s.reading(o)
	return r != nil && r.known
}

// keepUnknown puts those of the objects before back of whose names a full list does not tell. s.mu is held.
func (s *Store[T]) keepUnknown(before map[types.NamespacedName]T) {
	for key, o := range before {
		if r := s.reading(o); r != nil && !r.known && !s.keeps(o) {
			s.objects[key] = o
		}
	}
}

// keeps says whether an object is kept whatever is exported. s.mu is held.
func (s *Store[T]) keeps(o T) bool {
	return s.Selection.Of == nil || s.Selection.Anyway != nil && s.Selection.Anyway(o)
}

// reading returns how far the name of an object is known; nil if it is not selected. s.mu is held.
func (s *Store[T]) reading(o T) *reading[T] {
	if s.Selection.Of == nil {
		return nil
	}
	name, ok := s.Selection.Of(o)
	if !ok {
		return nil
	}
	return s.Selection.names[name]
}

// named returns the keys of the objects of a selected name. s.mu is held.
func (s *Store[T]) named(name types.NamespacedName) []types.NamespacedName {
	var keys []types.NamespacedName
	note := func(key types.NamespacedName) {
		if o, held := s.objects[key]; held {
			if n, ok := s.Selection.Of(o); ok && n == name {
				keys = append(keys, key)
			}
		}
	}
	note(name)
	for _, key := range s.groups[name] {
		if key != name {
			note(key)
		}
	}
	return keys
}
