package view

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Octets of a record whose owner is compressed to a pointer, without its data (RFC 1035 section 4.1.4), and the data of
// the types that this package builds. SRV targets are never compressed (RFC 2782).
const (
	fixedSize = 2 + 10
	aSize     = fixedSize + 4
	aaaaSize  = fixedSize + 16
	srvSize   = fixedSize + 6
)

// maxPointer is the highest offset that a compression pointer reaches, less what one record may occupy.
const maxPointer = 1<<14 - 512

// RRset is the records of one type at one name, with the address records that belong into Additional beside them. The
// records are shared between all answers and must never be written to. Answers begin with each record in turn (SPEC D17).
type RRset struct {
	// rrs are the n records, all of them twice where there are several, so that any n in a row can be shared without
	// copying. A set that no message carries has none, but is windowed.
	rrs      []dns.RR
	n        int
	windowed *windowed
	size     int32 // octets of all n, compressed
	largest  int32 // octets of the largest

	// extra are the records for Additional, twice as well; those of record i are extra[from[i]:from[i+1]].
	extra     []dns.RR
	from      []int32
	extraSize int32 // octets of all extra, compressed

	// Where the next answer begins. Clients ask again over TCP after an answer that was cut: if both took their turns from one
	// counter, every other turn would be missing from either.
	strides    strides
	whole, cut atomic.Uint32
}

// NewRRset returns the set of rrs, which are neither copied nor changed, with one and the same extra for all.
func NewRRset(rrs, extra []dns.RR) *RRset {
	return newRRset(rrs[:len(rrs):len(rrs)], extra)
}

// newRRset is NewRRset for records that have nobody else's behind them: room for all of them once more is used.
func newRRset(rrs, extra []dns.RR) *RRset {
	s := &RRset{rrs: rrs, n: len(rrs), extra: extra, extraSize: sizeOf(extra)}
	for _, rr := range rrs {
		size := recordSize(rr)
		s.size += size
		s.largest = max(s.largest, size)
	}
	if s.n > 1 {
		s.rrs = append(rrs, rrs...)
		s.whole.Store(rand.Uint32()) // so that a set that changes often does not begin with its first record each time
		s.cut.Store(rand.Uint32())
	}
	return s
}

// sizeOf returns the octets of records, each with its owner compressed to a pointer.
func sizeOf(rrs []dns.RR) (size int32) {
	for _, rr := range rrs {
		size += recordSize(rr)
	}
	return size
}

// newServiceSet returns a set of SRV records, the extra of each beginning where from says.
func newServiceSet(rrs, extra []dns.RR, from []int32) *RRset {
	s := newRRset(rrs, extra)
	s.from = from
	if s.n > 1 {
		s.extra = append(extra, extra...)
	}
	return s
}

// newWindowedSet returns the set of the records that m makes, which no message carries at once.
func newWindowedSet(m maker) *RRset {
	return &RRset{n: m.len(), size: math.MaxInt32, windowed: newWindowed(m)}
}

// Len returns the number of records.
func (s *RRset) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Size returns the octets of all records, those for Additional as well, in a message of ordinary size.
func (s *RRset) Size() int { return int(s.size) + int(s.extraSize) }

// All returns every record, or none where no message carries them all.
func (s *RRset) All() []dns.RR {
	if s.windowed != nil {
		return nil
	}
	return s.rrs[:s.n:s.n]
}

// Fit returns the records of an answer of which room octets are left for the records, and how many octets the message
// already has before them. Each answer begins with another record. Where not all of them fit, Fit returns those that do,
// and cut is true: the answer needs TC. What does not fit of extra is left out without a sign (RFC 2181 section 9), before
// anything else is. Both slices are shared and full: an append to them reallocates.
func (s *RRset) Fit(used, room int) (answer, extra []dns.RR, cut bool) {
	size := int(s.size)
	if size <= room {
		first := 0
		if s.n > 1 {
			first = int((s.whole.Add(1) - 1) % uint32(s.n))
		}
		last := first + s.n
		return s.rrs[first:last:last], s.fitExtra(first, last, used+size, room-size), false
	}
	if s.windowed != nil {
		return s.windowed.fit(room), nil, true
	}
	count := room / int(s.largest)
	step := uint32(s.strides.of(count, s.n))
	first := int((s.cut.Add(step) - step) % uint32(s.n))
	if size == s.n*int(s.largest) {
		return s.rrs[first : first+count : first+count], nil, true
	}
	answer, _ = within(s.rrs[first:], room)
	return answer, nil, true
}

// within returns as many of the records as fit into room, and whether that is all that the room has place for: one more was
// there and did not fit.
func within(rrs []dns.RR, room int) (fit []dns.RR, full bool) {
	for i, rr := range rrs {
		if room -= int(recordSize(rr)); room < 0 {
			return rrs[:i:i], true
		}
	}
	return rrs[:len(rrs):len(rrs)], false
}

// strides says by how many records answers move on that have place for so many.
type strides struct{ last atomic.Uint32 } // the count that was asked for last, and its answer, 16 bits each

// of returns the greatest number not above count that has no divisor in common with n, the number of records of the set: in n
// answers each record comes first exactly once then, and is in as many of them as any other of its size.
func (s *strides) of(count, n int) int {
	last := s.last.Load()
	if int(last>>16) == count && last != 0 {
		return int(last & (1<<16 - 1))
	}
	step := max(count, 1)
	for divisor(n, step) > 1 {
		step--
	}
	s.last.Store(uint32(count)<<16 | uint32(step))
	return step
}

// divisor returns the greatest common one.
func divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// fitExtra returns as much of what belongs to the records from first to last as fits into room octets, the first of
// which is at offset.
func (s *RRset) fitExtra(first, last, offset, room int) []dns.RR {
	extra := s.extraOf(first, last)
	for i, rr := range extra {
		size := int(recordSize(rr))
		if offset > maxPointer {
			size += len(rr.Header().Name) - 1 // its owner's target may be beyond the reach of a pointer
		}
		if room -= size; room < 0 {
			return extra[:i:i]
		}
		offset += size
	}
	return extra[:len(extra):len(extra)]
}

func (s *RRset) extraOf(first, last int) []dns.RR {
	if s.from == nil {
		return s.extra
	}
	total := int(s.from[s.n])
	end := func(i int) int { return i/s.n*total + int(s.from[i%s.n]) }
	return s.extra[end(first):end(last)]
}

// recordSize returns the octets of rr with its owner compressed to a pointer.
func recordSize(rr dns.RR) int32 {
	switch rr := rr.(type) {
	case *dns.A:
		return aSize
	case *dns.AAAA:
		return aaaaSize
	case *dns.SRV:
		return int32(srvSize + len(rr.Target) + 1)
	}
	return int32(dns.Len(rr) - len(rr.Header().Name) - 1 + 2)
}
