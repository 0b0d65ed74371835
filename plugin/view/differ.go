package view

import (
	"bytes"
	"slices"
	"sort"
)

// differ reports whether any answer differs between two states of one service. It may say so of states that answer
// alike only where two slices hold the same endpoint with different ports.
func differ(old, next *Service) bool {
	was, is := old != nil && old.imported, next.imported
	switch {
	case !was && !is:
		return false
	case was != is || !old.Import.equal(&next.Import):
		return true
	case !next.Headless:
		return false // endpoints of a ClusterSetIP service have no records
	}
	before, after := old.preferred(), next.preferred()
	return lost(before, after, true) || lost(after, before, true) || // at the name of the service
		lost(old.slices, next.slices, false) || lost(next.slices, old.slices, false) // at those of endpoints
}

// lost reports whether an endpoint of a is missing in b, or has other ports there, where they matter. Both are sorted.
func lost(a, b []*Slice, ports bool) bool {
	var others []*Slice
	for _, s := range a {
		at, found := slices.BinarySearchFunc(b, s, compareSlices)
		if found && b[at] == s || !ports && s.cluster == "" {
			continue
		}
		others = others[:0]
		if found && couldHold(b[at], s, ports) {
			others = append(others, b[at]) // first: what a slice was changed from, or into, has most of its endpoints
		}
		for i, t := range b {
			if (i != at || !found) && couldHold(t, s, ports) {
				others = append(others, t)
			}
		}
		if !s.heldBy(others) {
			return true
		}
	}
	return false
}

// couldHold reports whether an endpoint of s, which has a name below that of its cluster, answers alike if it is in t.
func couldHold(t, s *Slice, ports bool) bool {
	return t.width == s.width && (s.cluster == "" || t.cluster == s.cluster && (!ports || t.samePorts(s)))
}

// heldBy reports whether each endpoint of s is in one of others, slices that [couldHold] it. Most endpoints are in the first, so
// that few are left to look for in the others, and one that is nowhere ends the search. A member may see to it that many are left,
// and all are somewhere; then what the others hold is looked up in s instead: that is as much work as they have endpoints, not as
// there are pairs of an endpoint and a slice (SPEC X6).
func (s *Slice) heldBy(others []*Slice) bool {
	if len(others) == 0 {
		return s.len() == 0
	}
	first, others := others[0], others[1:]
	budget := 0 // of searches in others: a quarter of what looking up all that they hold takes
	for _, t := range others {
		budget += t.len()
	}
	budget /= 4
	for i := range s.len() {
		if first.holds(s, i) {
			continue
		}
		if budget -= len(others); budget < 0 && len(others) > 1 {
			return s.struckOff(i, first, others)
		}
		if !slices.ContainsFunc(others, func(t *Slice) bool { return t.holds(s, i) }) {
			return false
		}
	}
	return true
}

// struckOff reports whether first or others hold all endpoints of s from one on.
func (s *Slice) struckOff(from int, first *Slice, others []*Slice) bool {
	held, missing := make([]bool, s.len()), 0
	for i := range held {
		held[i] = i < from || first.holds(s, i)
		if !held[i] {
			missing++
		}
	}
	for _, t := range others {
		for i := range t.len() {
			missing -= s.strike(held, t, i)
		}
		if missing == 0 {
			return true
		}
	}
	return missing == 0
}

// strike marks those endpoints of s as held that t holds by its i-th, see [Slice.holds], and returns how many were not yet.
func (s *Slice) strike(held []bool, t *Slice, i int) (n int) {
	octets, host := t.addr(i), t.host(i)
	at, found := s.search(octets)
	if !found {
		return 0
	}
	if s.cluster != "" && s.host(at) != host {
		if s.hosts == nil {
			return 0
		}
		at += sort.Search(s.len()-at, func(n int) bool { return s.compare(at+n, octets, host) >= 0 })
	}
	for ; at < s.len() && bytes.Equal(s.addr(at), octets) && (s.cluster == "" || s.host(at) == host); at++ {
		if !held[at] {
			held[at] = true
			n++
		}
	}
	return n
}
