package mirror

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Object is an API object that a store can hold.
type Object interface {
	metav1.Object
	comparable
}

// writeLife bounds how long an own write is believed without its watch event: longer than any watch lags in practice, so
// that a write which the server forgot (etcd restored from a backup) does not stay visible for ever.
const writeLife = 30 * time.Second

// Store holds the objects of one kind of one cluster, as its watch tells them, overlaid with the outcome of our own writes
// until the watch has caught up. Resource versions of one resource are comparable (KEP-5504); where a server's are not,
// what the watch says wins.
//
// Objects are read-only once they are in. The zero value of T stands for absence.
type Store[T Object] struct {
	// group gives the name that an object belongs to, for lookups by group; nil for kinds that need none.
	group func(T) (types.NamespacedName, bool)
	// changed is told, outside the lock and in order, what readers saw before and see now.
	changed func(before, after T)
	// Present is told, outside the lock, that the watch told of an object that was not there, or no longer is, whether or
	// not anybody reads the store; nil if nobody asks.
	Present func(key types.NamespacedName)
	// Alike says that two states of an object differ in nothing that readers use, so that the change is not told: an API server
	// may send events without end that change nothing (SPEC X6). Nil where only the versions are compared.
	Alike     func(before, after T) bool
	now       func() time.Time
	Doubt     doubt[T]
	Selection selection[T]
	Budget    Budget[T]
	Total     Total[T]
	// Live says that readers use this store, so that changes are told.
	Live atomic.Bool

	mu      sync.RWMutex
	objects map[types.NamespacedName]T
	written map[types.NamespacedName]write[T]
	// groups holds the keys of a group's objects, noted the groups of a key, with its place in each.
	groups map[types.NamespacedName][]types.NamespacedName
	noted  map[types.NamespacedName][]place
}

// write is an own write that the watch has not confirmed yet. A deletion has no object.
type write[T Object] struct {
	object  T
	uid     types.UID
	version string
	at      time.Time
}

func NewStore[T Object](group func(T) (types.NamespacedName, bool), changed func(before, after T)) *Store[T] {
	return &Store[T]{
		group: group, changed: changed, now: time.Now,
		objects: map[types.NamespacedName]T{},
		written: map[types.NamespacedName]write[T]{},
		groups:  map[types.NamespacedName][]types.NamespacedName{},
		noted:   map[types.NamespacedName][]place{},
		Doubt:   doubt[T]{held: map[types.NamespacedName]Absence{}},
	}
}

func KeyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// newer says whether version a is that of a later write than b.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}

// Get returns the object of a name as readers see it.
func (s *Store[T]) Get(key types.NamespacedName) T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.see(key)
}

// Holds says whether the watch has told of an object that is still there.
func (s *Store[T]) Holds(key types.NamespacedName) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.watches(key)
}

// Of returns the objects of a group as readers see them, in no order.
func (s *Store[T]) Of(group types.NamespacedName) []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var absent T
	var list []T
	for _, key := range s.groups[group] {
		o := s.see(key)
		if o == absent {
			continue
		}
		if g, ok := s.group(o); ok && g == group {
			list = append(list, o)
		}
	}
	return list
}

// Each calls f for every object as readers see it, in no order. f must not use the store.
func (s *Store[T]) Each(f func(key types.NamespacedName, o T)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var absent T
	for key := range s.objects {
		if o := s.see(key); o != absent {
			f(key, o)
		}
	}
	for key := range s.written {
		if s.objects[key] == absent {
			if o := s.see(key); o != absent {
				f(key, o)
			}
		}
	}
}

// EachGroup calls f for every group that has objects, in no order. f must not use the store.
func (s *Store[T]) EachGroup(f func(group types.NamespacedName)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for g := range s.groups {
		f(g)
	}
}

// see overlays the watched object with an own write that is later. s.mu is held.
func (s *Store[T]) see(key types.NamespacedName) T {
	var absent T
	watched := s.objects[key]
	w, ok := s.written[key]
	if !ok || s.now().Sub(w.at) > writeLife {
		return watched
	}
	if w.object == absent {
		// An object that a finalizer keeps is not gone.
		if watched != absent && watched.GetUID() == w.uid && watched.GetDeletionTimestamp() == nil {
			return absent
		}
		return watched
	}
	if watched != absent && !newer(w.version, watched.GetResourceVersion()) {
		return watched
	}
	return w.object
}

// Wrote overlays the outcome of an own write.
func (s *Store[T]) Wrote(o T) {
	s.overlay(KeyOf(o), write[T]{object: o, uid: o.GetUID(), version: o.GetResourceVersion(), at: s.now()})
}

// Deleted overlays an own deletion. The object that was deleted is told by its UID.
func (s *Store[T]) Deleted(o metav1.Object) {
	s.overlay(KeyOf(o), write[T]{uid: o.GetUID(), at: s.now()})
}

func (s *Store[T]) overlay(key types.NamespacedName, w write[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, old := range s.written {
		if s.now().Sub(old.at) > writeLife {
			s.forget(k)
		}
	}
	var absent T
	watched := s.objects[key]
	caughtUp := watched != absent && w.object != absent && !newer(w.version, watched.GetResourceVersion())
	s.forget(key) // an earlier write counts no longer, and must not be seen where there is no room for this one
	if caughtUp || watched == absent && w.object == absent {
		return
	}
	if t := &s.Total; t.Weigh != nil && w.object != absent && t.used+t.Weigh(w.object) > t.Most {
		return
	}
	s.written[key] = w
	s.index(key)
}

// Put takes an added or modified object from the watch.
func (s *Store[T]) Put(o T) {
	key := KeyOf(o)
	s.change(key, func() {
		var absent T
		s.objects[key] = o
		delete(s.Doubt.held, key)
		s.index(key)
		w, ok := s.written[key]
		if !ok {
			return
		}
		if w.object == absent {
			if o.GetUID() != w.uid || o.GetDeletionTimestamp() != nil {
				s.forget(key)
			}
		} else if !newer(w.version, o.GetResourceVersion()) {
			s.forget(key)
		}
	})
}

// remove takes a deleted object from the watch.
func (s *Store[T]) remove(o T) {
	key := KeyOf(o)
	s.change(key, func() {
		var absent T
		if held := s.objects[key]; s.Doubt.removals && held != absent && s.Doubt.about(held) {
			s.Doubt.held[key] = Absence{removed: s.now()}
			s.Doubt.removed()
			return
		}
		delete(s.objects, key)
		delete(s.Doubt.held, key)
		s.gone(o)
		// The event of an earlier object of the name says nothing about the one that was written since.
		if w, ok := s.written[key]; ok && w.uid == o.GetUID() {
			delete(s.written, key)
		}
		s.index(key)
	})
}

// change makes one change and tells what it did to what readers see.
func (s *Store[T]) change(key types.NamespacedName, f func()) {
	s.mu.Lock()
	before, had := s.see(key), s.watches(key)
	f()
	after, has := s.see(key), s.watches(key)
	s.unlock()
	if had != has && s.Present != nil {
		s.Present(key)
	}
	s.tell(before, after)
}

// watches says whether the watch has told of an object that is still there. s.mu is held.
func (s *Store[T]) watches(key types.NamespacedName) bool {
	_, ok := s.objects[key]
	return ok
}

func (s *Store[T]) tell(before, after T) {
	var absent T
	if before == after || !s.Live.Load() {
		return
	}
	if before != absent && after != absent && before.GetUID() == after.GetUID() {
		if before.GetResourceVersion() == after.GetResourceVersion() || s.Alike != nil && s.Alike(before, after) {
			return
		}
	}
	s.changed(before, after)
}

// AlikeButVersion says that two objects differ in nothing but their version, after what nobody reads was trimmed.
func AlikeButVersion[T Object](before, after T) bool {
	shallow := reflect.New(reflect.TypeOf(after).Elem()) // readers have the object itself
	shallow.Elem().Set(reflect.ValueOf(after).Elem())
	same := shallow.Interface().(T)
	same.SetResourceVersion(before.GetResourceVersion())
	return reflect.DeepEqual(before, same)
}

// replace takes a full list, which is that of version.
func (s *Store[T]) replace(list []T, version string) {
	type pair struct{ before, after T }
	pairs := map[types.NamespacedName]*pair{}

	s.mu.Lock()
	for key := range s.objects {
		pairs[key] = &pair{before: s.see(key)}
	}
	for key := range s.written {
		pairs[key] = &pair{before: s.see(key)}
	}
	unknown := s.surveyed(version)
	watched := s.objects
	s.objects = make(map[types.NamespacedName]T, len(list))
	for _, o := range list {
		if !s.inList(o) {
			continue
		}
		key := KeyOf(o)
		s.objects[key] = o
		if pairs[key] == nil {
			pairs[key] = &pair{}
		}
	}
	s.keepUnknown(watched)
	s.keepAbsent(watched)
	for key := range pairs {
		if w, ok := s.written[key]; ok && s.confirms(key, w, version) {
			delete(s.written, key)
		}
		s.unindex(key) // of all before the first comes back, which needs room
	}
	for group := range s.Budget.left {
		s.Budget.anew(group)
	}
	for key := range pairs {
		s.index(key)
	}
	for key, p := range pairs {
		p.after = s.see(key)
	}
	s.unlock()

	for key, p := range pairs {
		if s.Present != nil {
			s.Present(key)
		}
		s.tell(p.before, p.after)
	}
	for _, name := range unknown {
		s.Selection.Unknown(name)
	}
}

// confirms says whether a list of version, already taken, is at least as late as an own write. s.mu is held.
func (s *Store[T]) confirms(key types.NamespacedName, w write[T], version string) bool {
	var absent T
	if w.object != absent {
		return !newer(w.version, version)
	}
	listed := s.objects[key]
	return listed == absent || listed.GetUID() != w.uid
}

// Adopt takes over from a store of the same kind that this one is to replace: the own writes, as far as they are not
// confirmed here, and the objects that are absent here in too great a number to be believed.
func (s *Store[T]) Adopt(old *Store[T]) {
	old.mu.RLock()
	written, objects, held := maps.Clone(old.written), maps.Clone(old.objects), maps.Clone(old.Doubt.held)
	old.mu.RUnlock()
	for key, w := range written {
		s.overlay(key, w)
	}
	s.mu.Lock()
	defer s.unlock()
	maps.Copy(s.Doubt.held, held)
	s.keepAbsent(objects)
	for key := range s.Doubt.held {
		s.index(key)
	}
}

// TellDifference tells what readers of old, which this store replaced, saw otherwise.
func (s *Store[T]) TellDifference(old *Store[T]) {
	before := old.All()
	after := s.All()
	for key, o := range before {
		s.tell(o, after[key])
		delete(after, key)
	}
	var absent T
	for _, o := range after {
		s.tell(absent, o)
	}
}

// All returns every object as readers see it.
func (s *Store[T]) All() map[types.NamespacedName]T {
	all := map[types.NamespacedName]T{}
	s.Each(func(key types.NamespacedName, o T) { all[key] = o })
	return all
}

// forget drops an own write. s.mu is held.
func (s *Store[T]) forget(key types.NamespacedName) {
	delete(s.written, key)
	s.index(key)
}

// place is where a key stands in the list of a group.
type place struct {
	group types.NamespacedName
	at    int
}

// index notes the groups that the watched and the written object of key belong to, and counts them. s.mu is held.
func (s *Store[T]) index(key types.NamespacedName) {
	s.count(key)
	if s.group == nil {
		return
	}
	s.unindex(key)
	var absent T
	for _, o := range [...]T{s.objects[key], s.written[key].object} {
		if o == absent {
			continue
		}
		g, ok := s.group(o)
		if !ok || slices.ContainsFunc(s.noted[key], func(p place) bool { return p.group == g }) {
			continue
		}
		s.noted[key] = append(s.noted[key], place{g, len(s.groups[g])})
		s.groups[g] = append(s.groups[g], key)
	}
	s.ration(key)
}

// unindex takes key off the groups that it is noted for. s.mu is held.
func (s *Store[T]) unindex(key types.NamespacedName) {
	for _, p := range s.noted[key] {
		s.leave(p)
	}
	delete(s.noted, key)
	s.Budget.forget(key)
}

// leave takes a key off a group's list, and puts the last one in its place: a group may be as large as a member makes it, and all
// of it may leave at once (SPEC X6). s.mu is held.
func (s *Store[T]) leave(p place) {
	list := s.groups[p.group]
	last := len(list) - 1
	moved := list[last]
	list[p.at], list[last] = moved, types.NamespacedName{}
	if last == 0 {
		delete(s.groups, p.group)
		return
	}
	s.groups[p.group] = list[:last]
	for i, of := range s.noted[moved] {
		if of.group == p.group {
			s.noted[moved][i].at = p.at
		}
	}
}
