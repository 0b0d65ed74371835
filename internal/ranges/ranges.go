// Package ranges holds sets of IP addresses that are asked for single addresses very often.
package ranges

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// Set is a set of IP addresses: ranges that are sorted and do not touch each other. The zero value is empty. A Set does not
// change, so that it can be shared.
type Set struct{ list []span }

// span is a range of addresses of one family, both ends included.
type span struct{ first, last netip.Addr }

// Of returns the addresses in any of some prefixes. Those that are invalid have none.
func Of(prefixes ...netip.Prefix) Set {
	spans := make([]span, 0, len(prefixes))
	for _, p := range prefixes {
		if p.IsValid() {
			spans = append(spans, span{p.Masked().Addr(), last(p)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.first.Compare(b.first) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && touch(merged[n-1], s) {
			if merged[n-1].last.Less(s.last) {
				merged[n-1].last = s.last
			}
			continue
		}
		merged = append(merged, s)
	}
	return Set{slices.Clip(merged)}
}

// touch reports whether b, which does not begin before a, overlaps with a or begins just behind it.
func touch(a, b span) bool {
	return a.first.BitLen() == b.first.BitLen() && (b.first.Compare(a.last) <= 0 || a.last.Next() == b.first)
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Contains reports whether an address is in the set. One with a zone is in none, and an IPv4 address in the form of an IPv6 address is
// none of IPv4, as for [netip.Prefix.Contains].
func (s Set) Contains(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	after := sort.Search(len(s.list), func(i int) bool { return addr.Less(s.list[i].first) })
	return after > 0 && !s.list[after-1].last.Less(addr)
}

// Empty reports whether there are no addresses.
func (s Set) Empty() bool { return len(s.list) == 0 }

// Equal reports whether two sets have the same addresses.
func (s Set) Equal(other Set) bool { return slices.Equal(s.list, other.list) }

// String lists the ranges: "10.96.0.0-10.96.255.255, fd00::1".
func (s Set) String() string {
	texts := make([]string, len(s.list))
	for i, r := range s.list {
		texts[i] = r.first.String()
		if r.first != r.last {
			texts[i] = fmt.Sprintf("%s-%s", r.first, r.last)
		}
	}
	return strings.Join(texts, ", ")
}
