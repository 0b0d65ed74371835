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

// Octets of memory that things take at most, without texts and addresses.
const (
	recordBytes = 128 // a record with its places in a set
	setBytes    = 256 // a set, or something like it
	rowBytes    = 96  // a row of a map
	portBytes   = 40  // a port
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
	k.add(s.bytes())
	return s
}

// bytes returns how much memory a set takes, with what only this set has. A set that no message carries has its window, and
// what it makes records from.
func (s *RRset) bytes() int {
	if s.windowed != nil {
		return 2*setBytes + s.windowed.bytes()
	}
	n := setBytes + recordBytes*(len(s.rrs)+len(s.extra))/2 + 4*len(s.from)
	if s.n > 0 {
		n += len(s.rrs[0].Header().Name) + int(s.size) // the data of the records is in their size
	}
	return n
}

func (a *addresses) bytes() int {
	return setBytes + len(a.owner) + cap(a.octets) + windowSize/a.largest()*recordBytes
}

func (s *services) bytes() int {
	n := setBytes + len(s.owner) + 4*cap(s.order) + 32*cap(s.levels)
	n += windowSize/(srvSize+s.targets.least+1)*recordBytes + windowSize // the names of targets
	for _, numbers := range s.numbers {
		n += 32 + 2*cap(numbers)
	}
	return n
}

// bytes is the same of the names of endpoints, of which some may be those of several.
func (t *targets) bytes() int {
	n := setBytes + 20*len(t.list) + portBytes*t.madePorts
	for i := range t.lists {
		n += 64
		if t.names != nil {
			n += t.octets[i] + 16*t.count[i]
		}
	}
	for _, all := range t.more {
		n += rowBytes + 16*cap(all)
	}
	return n
}
