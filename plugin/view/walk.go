package view

import (
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Walk yields all records of the service in a zone, each once, some at a time. It keeps none of them, and stops between any two.
func (s *Service) Walk(z Zone) iter.Seq[[]dns.RR] {
	return func(yield func([]dns.RR) bool) {
		if r := s.in(z); r.Exist() {
			_ = r.walkService(yield) && r.walkPorts(yield) && r.walkEndpoints(yield)
		}
	}
}

// walkService yields the records at the name of the service. Like all that follow, it reports whether more are wanted.
func (r *Records) walkService(yield func([]dns.RR) bool) bool {
	return stream(r.addresses(net.IPv4len), yield) && stream(r.addresses(net.IPv6len), yield) && stream(r.services(r.owner, everyPort), yield)
}

// walkPorts yields the records at the names of ports.
func (r *Records) walkPorts(yield func([]dns.RR) bool) bool {
	frame := r.frame()
	for _, sub := range slices.Sorted(maps.Keys(frame)) {
		if p := frame[sub]; p != nil && !stream(r.services(p.name, called(p.Port)), yield) {
			return false
		}
	}
	return true
}

// walkEndpoints yields the addresses at the names of endpoints.
func (r *Records) walkEndpoints(yield func([]dns.RR) bool) bool {
	if !r.service.Headless {
		return true
	}
	for _, width := range []int{net.IPv4len, net.IPv6len} {
		for all := range clusterEndpoints(r.service.slices, width) {
			if !r.walkNames(all, width, yield) {
				return false
			}
		}
	}
	return true
}

// clusterEndpoints yields the endpoints of one family of each cluster that is known, sorted.
func clusterEndpoints(all []*Slice, width int) iter.Seq[[]endpoint] {
	return func(yield func([]endpoint) bool) {
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].cluster == all[0].cluster {
				n++
			}
			var found []endpoint
			for _, s := range all[:n] {
				for i := range s.len() {
					if s.width == width && s.cluster != "" {
						found = append(found, endpoint{s, int32(i)})
					}
				}
			}
			slices.SortFunc(found, endpoint.compare)
			if all = all[n:]; len(found) > 0 && !yield(found) {
				return
			}
		}
	}
}

// compare compares endpoints of one cluster and family. Those that are equal are one: they have the same name and address.
func (e endpoint) compare(f endpoint) int {
	return e.slice.compare(int(e.at), f.octets(), f.slice.host(int(f.at)))
}

// walkNames yields the records of the sorted endpoints of a cluster.
func (r *Records) walkNames(all []endpoint, width int, yield func([]dns.RR) bool) bool {
	const most = 256
	var buf [2 * MaxName]byte
	all = slices.CompactFunc(all, func(e, f endpoint) bool { return e.compare(f) == 0 })
	for len(all) > 0 {
		n := min(most, len(all))
		records := newAddressRecords(n, n*(net.IPv6len-width)/(net.IPv6len-net.IPv4len))
		for _, e := range all[:n] {
			if sub := e.slice.appendName(buf[:0], int(e.at)); r.fits(len(sub)) {
				records.add(string(sub)+"."+r.owner, r.zone.TTL, e.octets())
			}
		}
		if all = all[n:]; len(records.rrs) > 0 && !yield(records.rrs) {
			return false
		}
	}
	return true
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
