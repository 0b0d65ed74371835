package view

import (
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// keepBits says how much is kept of what was built for questions: about 64 MiB, as a power of two.
const keepBits = 26

// keeper counts what is built for questions and kept, so that asking for every name that there is fills no memory: what
// each name may keep is bounded, but names are as many as services, endpoints and ports. When as much was built as may be
// kept, everything is forgotten, and built again when somebody asks for it, which costs each name about as much as one
// answer. Counting what was built is enough: nothing else is kept.
type keeper struct {
	built atomic.Uint64
	mu    sync.Mutex
	views []weak.Pointer[View] // which share services; one of them may have gone
}

// join adds a view that forgets with the others.
func (k *keeper) join(v *View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.views = append(k.views, weak.Make(v))
}

func (k *keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.views = slices.DeleteFunc(k.views, func(p weak.Pointer[View]) bool {
		v := p.Value()
		if v != nil {
			v.Forget()
		}
		return v == nil
	})
}

// Octets of memory that things take, roughly.
const (
	recordBytes = 128 // a record with its place in a set
	setBytes    = 256 // a set, or something like it
)

// add counts so many octets of memory. Who asks does not wait for the forgetting.
func (k *keeper) add(octets int) {
	if k == nil {
		return
	}
	now := k.built.Add(uint64(octets))
	if before := now - uint64(octets); before>>keepBits != now>>keepBits {
		go k.forget()
	}
}

// keep counts a set and returns it.
func (k *keeper) keep(s *RRset) *RRset {
	k.add(setBytes + recordBytes*(len(s.rrs)+len(s.extra))/2)
	if s.windowed != nil {
		k.add(windowSize / aSize * recordBytes)
	}
	return s
}
