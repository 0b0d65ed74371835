package view

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// minSlots is the size of an empty table.
const minSlots = 64

// table finds services by their keys. Any number of readers use it while one writer changes it: a slot changes as a whole,
// and a larger table takes the place of one that is too full. On the way from a key to its service there are no more than
// the slot and the service to read, which matters because with many services neither is in the processor's cache.
type table struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]atomic.Pointer[Service]] // their number is a power of two; half of them or more are nil
	used  int                                       // slots that are not nil
	idle  int                                       // those of them whose service is of no use any more
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	slots := make([]atomic.Pointer[Service], minSlots)
	t.slots.Store(&slots)
	return t
}

// clone returns a table of the same services, which changes by itself from then on.
func (t *table) clone() *table {
	c := &table{seed: t.seed, used: t.used, idle: t.idle}
	from := *t.slots.Load()
	slots := make([]atomic.Pointer[Service], len(from))
	for i := range from {
		slots[i].Store(from[i].Load())
	}
	c.slots.Store(&slots)
	return c
}

// get returns the service that was set last for a key, or nil.
func (t *table) get(key string) *Service {
	hash := maphash.String(t.seed, key)
	slots := *t.slots.Load()
	return slots[find(slots, hash, key)].Load()
}

// set replaces the service of the same key, if there is one. One of no use any more keeps its slot until the next rebuild,
// so that whoever looks for another key still finds the way past it.
func (t *table) set(s *Service) {
	s.hash = maphash.String(t.seed, s.key)
	slots := *t.slots.Load()
	at := find(slots, s.hash, s.key)
	old := slots[at].Load()
	if old == nil && 2*(t.used+1) > len(slots) {
		slots = t.rebuild()
		at = find(slots, s.hash, s.key)
	}
	slots[at].Store(s)
	if old == nil {
		t.used++
	} else if !old.useful() {
		t.idle--
	}
	if !s.useful() {
		t.idle++
	}
	if 4*t.idle > len(slots) {
		t.rebuild()
	}
}

// find returns the slot of a key, or the one that it may take.
func find(slots []atomic.Pointer[Service], hash uint64, key string) int {
	last := uint64(len(slots) - 1)
	for at := hash & last; ; at = (at + 1) & last {
		if s := slots[at].Load(); s == nil || s.hash == hash && s.key == key {
			return int(at)
		}
	}
}

// rebuild makes a table of the services that are of use, with room for as many again.
func (t *table) rebuild() []atomic.Pointer[Service] {
	t.used, t.idle = t.used-t.idle, 0
	size := minSlots
	for size < 4*t.used {
		size *= 2
	}
	slots := make([]atomic.Pointer[Service], size)
	for s := range t.all() {
		if s.useful() {
			slots[find(slots, s.hash, s.key)].Store(s)
		}
	}
	t.slots.Store(&slots)
	return slots
}

// all yields every service, those of no use as well. What is set meanwhile may be among them or not.
func (t *table) all() iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		slots := *t.slots.Load()
		for i := range slots {
			if s := slots[i].Load(); s != nil && !yield(s) {
				return
			}
		}
	}
}
