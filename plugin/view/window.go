package view

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/miekg/dns"
)

// An answer carries at most 64 KiB (RFC 1035 section 4.2.2), so that of a set of more octets no answer has all records: they
// are never all there either (SPEC X7). A maker knows which records there are, a window has a few that were made, and both
// cost no more than a message, whatever number of ports, endpoints and clusters were multiplied with each other.
const (
	maxSet     = dns.MaxMsgSize
	windowSize = 1 << 14 // octets of the records that are kept of a larger set
)

// maker makes the records of a set, of which there are len, in the order in which they take turns.
type maker interface {
	len() int
	// largest returns the octets of the largest record, or more.
	largest() int
	// make returns the records from first on, and those from 0 on after the last one: as many as fit into room octets, but at
	// most most.
	make(first, most, room int) []dns.RR
	// bytes returns how much memory it takes, with a window.
	bytes() int
}

// windowed is a set of which only a few records exist at any moment.
type windowed struct {
	maker
	window atomic.Pointer[window]
	// Large answers, over TCP, are made for each question and dropped. Small ones are cut from the window in turn, and the
	// window moves on when they reach its end. Both go round all records of the set, each by itself (see RRset).
	small, large turns
}

// window is the records from first on.
type window struct {
	first int
	rrs   []dns.RR
}

func newWindowed(m maker) *windowed {
	w := &windowed{maker: m}
	w.small.turn.Store(uint64(rand.Uint32()))
	w.large.turn.Store(uint64(rand.Uint32()))
	return w
}

// turns says where the next answer begins.
type turns struct {
	turn    atomic.Uint64
	strides strides
}

// next returns where an answer with count of n records begins.
func (t *turns) next(count, n int) int {
	step := uint64(t.strides.of(count, n))
	return int((t.turn.Add(step) - step) % uint64(n))
}

// fit returns as many records as fit into room octets, those whose turn it is.
func (w *windowed) fit(room int) []dns.RR {
	n, count := w.len(), room/w.largest()
	if room > windowSize/2 {
		return w.make(w.large.next(count, n), n, room)
	}
	first := w.small.next(count, n)
	if kept := w.window.Load(); kept != nil {
		if at := (first - kept.first + n) % n; at < len(kept.rrs) {
			if answer, full := within(kept.rrs[at:], room); full {
				return answer
			}
		}
	}
	next := &window{first, w.make(first, n, windowSize)}
	w.window.Store(next) // who comes late puts an older one in its place, which is made again
	answer, _ := within(next.rrs, room)
	return answer
}

// stream yields all records, some at a time, and reports whether more are wanted.
func stream(m maker, yield func([]dns.RR) bool) bool {
	const most = 256
	for first, n := 0, m.len(); first < n; {
		rrs := m.make(first, min(most, n-first), maxSet)
		if !yield(rrs) {
			return false
		}
		first += len(rrs)
	}
	return true
}
