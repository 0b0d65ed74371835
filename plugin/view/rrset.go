package view

import (
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
// records are shared between all answers and must never be written to.
type RRset struct {
	// rrs are the n records, all of them twice where there are several, so that any n in a row can be shared without
	// copying when an answer has to be cut.
	rrs  []dns.RR
	n    int
	size int // octets of all n, compressed
	step int // octets of each, or 0 where they differ

	// extra are the records for Additional, twice as well; those of record i are extra[from[i]:from[i+1]].
	extra     []dns.RR
	from      []int32
	extraSize int // octets of all extra, compressed

	turn atomic.Uint32 // where the next answer that has to be cut begins
}

// NewRRset returns the set of rrs, which are neither copied nor changed, with one and the same extra for all.
func NewRRset(rrs, extra []dns.RR) *RRset {
	s := &RRset{rrs: rrs, n: len(rrs), extra: extra, extraSize: sizeOf(extra)}
	if len(rrs) > 0 {
		s.step = recordSize(rrs[0])
	}
	for _, rr := range rrs {
		size := recordSize(rr)
		s.size += size
		if size != s.step {
			s.step = 0
		}
	}
	if s.n > 1 {
		s.rrs = append(rrs[:s.n:s.n], rrs...)
	}
	return s
}

// sizeOf returns the octets of records, each with its owner compressed to a pointer.
func sizeOf(rrs []dns.RR) (size int) {
	for _, rr := range rrs {
		size += recordSize(rr)
	}
	return size
}

// newServiceSet returns a set of SRV records, the extra of each beginning where from says.
func newServiceSet(rrs, extra []dns.RR, from []int32) *RRset {
	s := NewRRset(rrs, extra)
	s.from = from
	if s.n > 1 {
		s.extra = append(extra[:len(extra):len(extra)], extra...)
	}
	return s
}

// Len returns the number of records.
func (s *RRset) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Size returns the octets of all records, those for Additional as well, in a message of ordinary size.
func (s *RRset) Size() int { return s.size + s.extraSize }

// All returns every record.
func (s *RRset) All() []dns.RR { return s.rrs[:s.n:s.n] }

// Fit returns the records of an answer of which room octets are left for the records, and how many octets the message
// already has before them. Where not all of them fit, it returns those that do, in turn, and cut is true: the answer
// needs TC. What does not fit of extra is left out without a sign (RFC 2181 section 9). Both slices are shared and full:
// an append to them reallocates.
func (s *RRset) Fit(used, room int) (answer, extra []dns.RR, cut bool) {
	if s.size <= room {
		answer = s.rrs[:s.n:s.n]
		return answer, s.fitExtra(0, s.n, used+s.size, room-s.size), false
	}
	if s.step > 0 {
		count := room / s.step
		first := s.advance(count)
		return s.rrs[first : first+count : first+count], nil, true
	}
	first := int(s.turn.Load()) % s.n
	last, left := first, room
	for size := recordSize(s.rrs[last]); size <= left; size = recordSize(s.rrs[last]) {
		left -= size
		last++
	}
	s.turn.Add(uint32(last - first))
	return s.rrs[first:last:last], s.fitExtra(first, last, used+room-left, left), true
}

// advance returns where this answer begins, and moves on by count for the next.
func (s *RRset) advance(count int) int {
	end := s.turn.Add(uint32(count))
	return int((end - uint32(count)) % uint32(s.n))
}

// fitExtra returns as much of what belongs to the records from first to last as fits into room octets, the first of
// which is at offset.
func (s *RRset) fitExtra(first, last, offset, room int) []dns.RR {
	extra := s.extraOf(first, last)
	for i, rr := range extra {
		size := recordSize(rr)
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
func recordSize(rr dns.RR) int {
	switch rr := rr.(type) {
	case *dns.A:
		return aSize
	case *dns.AAAA:
		return aaaaSize
	case *dns.SRV:
		return srvSize + len(rr.Target) + 1
	}
	return dns.Len(rr) - len(rr.Header().Name) - 1 + 2
}
