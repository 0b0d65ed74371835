package view

import (
	"net"
	"slices"
	"sort"

	"github.com/miekg/dns"
)

// services are the SRV records at one name: for each target the wanted numbers of its ports. All first numbers come before
// all second ones, so that a few records have as many targets as possible.
type services struct {
	owner   string
	ttl     uint32
	targets *targets
	numbers [][]uint16 // the wanted ones of each list of ports
	order   []int32    // the targets that have any, those with more of them first; nil where all have as many
	levels  []level
	records int
	octets  int
}

// level is some rounds in which as many targets have one number more.
type level struct{ from, rounds, width int }

// everyPort selects all ports of a sorted list.
func everyPort(ports []Port) []Port { return ports }

// called returns a function that selects those that have the name and protocol of a port, of a sorted list.
func called(p Port) func([]Port) []Port {
	return func(ports []Port) []Port {
		from := sort.Search(len(ports), func(i int) bool { return ports[i].Compare(Port{p.Name, p.Protocol, 0}) >= 0 })
		to := from
		for to < len(ports) && ports[to].Name == p.Name && ports[to].Protocol == p.Protocol {
			to++
		}
		return ports[from:to]
	}
}

// services returns the SRV records at a name, for the ports that select leaves.
func (r *Records) services(owner string, selected func([]Port) []Port) *services {
	s := &services{owner: owner, ttl: r.zone.TTL}
	if len(owner) > MaxName || !r.service.Headless && len(r.service.IPs) == 0 {
		return s // nothing to reach yet
	}
	s.targets = r.named()
	s.numbers = make([][]uint16, len(s.targets.lists))
	least, most := 1<<16, 0
	for i, ports := range s.targets.lists {
		if s.targets.count[i] == 0 {
			continue // replaced by that of several slices
		}
		s.numbers[i] = numbers(selected(ports))
		n := len(s.numbers[i])
		least, most = min(least, n), max(most, n)
		s.records += n * s.targets.count[i]
		s.octets += n * (s.targets.octets[i] + s.targets.count[i]*(srvSize+1))
	}
	switch {
	case s.records == 0:
	case least == most:
		s.levels = []level{{0, most, s.targets.len()}}
	default:
		s.rank()
	}
	return s
}

// numbers returns the different numbers of ports, sorted.
func numbers(ports []Port) []uint16 {
	if len(ports) == 0 {
		return nil
	}
	all := make([]uint16, len(ports))
	for i, p := range ports {
		all[i] = p.Number
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// rank orders targets of which some have more numbers than others.
func (s *services) rank() {
	of := func(target int32) int { return len(s.numbers[s.targets.list[target]]) }
	for i := range s.targets.len() {
		if of(int32(i)) > 0 {
			s.order = append(s.order, int32(i))
		}
	}
	slices.SortStableFunc(s.order, func(a, b int32) int { return of(b) - of(a) })
	from := 0
	for width := len(s.order); width > 0; {
		last := of(s.order[width-1])
		s.levels = append(s.levels, level{from, last - from, width})
		for from = last; width > 0 && of(s.order[width-1]) == last; {
			width--
		}
	}
}

func (s *services) len() int { return s.records }

func (s *services) largest() int { return srvSize + s.targets.longest + 1 }

// cursor is a place among the records.
type cursor struct{ level, round, at int }

// place returns the place of the i-th record.
func (s *services) place(i int) (c cursor) {
	for i >= s.levels[c.level].rounds*s.levels[c.level].width {
		i -= s.levels[c.level].rounds * s.levels[c.level].width
		c.level++
	}
	c.round, c.at = i/s.levels[c.level].width, i%s.levels[c.level].width
	return c
}

// next moves a place on, and round.
func (s *services) next(c *cursor) {
	l := &s.levels[c.level]
	if c.at++; c.at < l.width {
		return
	}
	c.at = 0
	if c.round++; c.round < l.rounds {
		return
	}
	c.round = 0
	if c.level++; c.level == len(s.levels) {
		c.level = 0
	}
}

// get returns what is at a place.
func (s *services) get(c cursor) (target int32, number uint16) {
	target = int32(c.at)
	if s.order != nil {
		target = s.order[c.at]
	}
	return target, s.numbers[s.targets.list[target]][s.levels[c.level].from+c.round]
}

func (s *services) make(first, most, room int) []dns.RR {
	most = min(most, s.records)
	guess := min(most, room/(srvSize+s.targets.least+1)+1)
	names, numbers := s.targets.newSpeller(guess), make([]uint16, 0, guess)
	for c := s.place(first); len(numbers) < most; s.next(&c) {
		target, number := s.get(c)
		if room -= srvSize + names.add(target) + 1; room < 0 {
			break
		}
		numbers = append(numbers, number)
	}
	targets := names.all()
	block, rrs := make([]dns.SRV, len(numbers)), make([]dns.RR, len(numbers))
	for i := range block {
		block[i] = dns.SRV{
			Hdr:    dns.RR_Header{Name: s.owner, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: s.ttl},
			Weight: uint16(max(maxWeight/s.records, 1)), Port: numbers[i], Target: targets[i],
		}
		rrs[i] = &block[i]
	}
	return rrs
}

// maxWeight is what the SRV records of a set weigh together, as far as each weighs anything, as other plugins of CoreDNS weigh them.
const maxWeight = 100

// serviceSet returns SRV records as a set, with the addresses of the targets for Additional.
func (r *Records) serviceSet(owner string, selected func([]Port) []Port) *RRset {
	s := r.services(owner, selected)
	switch {
	case s.records == 0:
		return NewRRset(nil, nil)
	case s.octets > maxSet:
		return newWindowedSet(s)
	case r.service.Headless:
		rrs := s.make(0, s.records, maxSet)
		extra, from := s.extra(rrs)
		return newServiceSet(rrs, extra, from)
	}
	extra := append(r.A().All(), r.AAAA().All()...)
	if s.records == 1 {
		return newSingleService(owner, r.zone.TTL, r.owner, s.numbers[0][0], extra)
	}
	return newRRset(s.make(0, s.records, maxSet), extra)
}

// extra returns the addresses of the targets, which come with the first record of each: a client needs them once. The addresses
// of a name are all there, or none where it has more than its share of a message (RFC 2181 section 5.1).
func (s *services) extra(rrs []dns.RR) (extra []dns.RR, from []int32) {
	width := s.levels[0].width
	share := max(2, maxSet/aSize/width)
	at := func(i int) []endpoint {
		target, _ := s.get(cursor{at: i})
		if all := s.targets.addresses(target); len(all) <= share {
			return all
		}
		return nil
	}
	n, as := 0, 0
	for i := range width {
		for _, e := range at(i) {
			if n++; e.slice.width == net.IPv4len {
				as++
			}
		}
	}
	records := newAddressRecords(n, as)
	from = make([]int32, len(rrs)+1)
	for i := range from {
		from[i] = int32(len(records.rrs))
		if i < width {
			for _, e := range at(i) {
				records.add(rrs[i].(*dns.SRV).Target, s.ttl, e.octets())
			}
		}
	}
	return records.rrs, from
}
