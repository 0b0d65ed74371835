package view

import (
	"bytes"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Walk calls yield with all records of the service in a zone, each once, some at a time. It keeps none of them.
func (s *Service) Walk(z Zone, yield func([]dns.RR)) {
	r := s.in(z)
	if !r.Exist() {
		return
	}
	for _, width := range []int{net.IPv4len, net.IPv6len} {
		stream(r.addresses(width), yield)
	}
	stream(r.services(r.owner, everyPort), yield)
	frame := r.frame()
	for _, sub := range slices.Sorted(maps.Keys(frame)) {
		if p := frame[sub]; p != nil {
			stream(r.services(p.name, called(p.Port)), yield)
		}
	}
	if s.Headless {
		r.walkEndpoints(yield)
	}
}

// walkEndpoints calls yield with the addresses at the names of endpoints.
func (r *Records) walkEndpoints(yield func([]dns.RR)) {
	const most = 256
	var buf [2 * MaxName]byte
	for i, s := range r.service.slices {
		others := r.service.slices[:i] // of the same cluster and family
		for len(others) > 0 && others[0].cluster != s.cluster {
			others = others[1:]
		}
		var records *addressRecords
		for j := range s.len() {
			sub := s.appendName(buf[:0], j)
			if len(sub) == 0 || !r.fits(len(sub)) || s.repeats(j, others) {
				continue
			}
			if records == nil {
				n := min(most, s.len()-j)
				records = newAddressRecords(n, n*(net.IPv6len-s.width)/(net.IPv6len-net.IPv4len))
			}
			records.add(string(sub)+"."+r.owner, r.zone.TTL, s.addr(j))
			if len(records.rrs) == most {
				yield(records.rrs)
				records = nil
			}
		}
		if records != nil {
			yield(records.rrs)
		}
	}
}

// repeats reports whether an endpoint before the i-th, or in another slice, has the same name and address.
func (s *Slice) repeats(i int, others []*Slice) bool {
	name, octets := endpoint{s, int32(i)}.name(), s.addr(i)
	for j := i - 1; j >= 0 && bytes.Equal(s.addr(j), octets); j-- {
		if (endpoint{s, int32(j)}).name() == name {
			return true
		}
	}
	for _, t := range others {
		if t.width != s.width {
			continue
		}
		for j, _ := t.search(octets); j < t.len() && bytes.Equal(t.addr(j), octets); j++ {
			if (endpoint{t, int32(j)}).name() == name {
				return true
			}
		}
	}
	return false
}

// endpointName is the name of an endpoint, the same for all spellings of it: with an address if it is made from one, or looks so.
type endpointName struct {
	cluster, label string
	addr           netip.Addr
}

func (e endpoint) name() endpointName {
	n := endpointName{cluster: e.slice.cluster, label: e.slice.host(int(e.at))}
	if n.label == "" {
		n.addr, _ = netip.AddrFromSlice(e.octets())
	} else if strings.Contains(n.label, "-") {
		if h := parseHostname(n.label); h.addr.IsValid() {
			n.label, n.addr = "", h.addr
		}
	}
	return n
}
