package view

import (
	"net"
	"slices"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Zone is what the records of a service depend on beside the service.
type Zone struct {
	Origin string // fully qualified, lower case
	TTL    uint32 // seconds
}

// Name returns the name of labels (relative, lower case, without a dot at the end) in the zone.
func (z Zone) Name(labels string) string {
	if z.Origin == "." {
		return labels + "."
	}
	return labels + "." + z.Origin
}

// Records are the records of one service in one zone. Each set is built when it is first asked for.
type Records struct {
	service *Service
	zone    Zone
	next    *Records // the same service in another zone
	owner   string

	a, aaaa, srv lazy[RRset]
	below        lazy[map[string]*Node]
}

// lazy is a value that is built on first use. Two readers may build it at the same time; one of the two is kept.
type lazy[T any] struct{ p atomic.Pointer[T] }

func (l *lazy[T]) get(build func() *T) *T {
	if v := l.p.Load(); v != nil {
		return v
	}
	l.p.CompareAndSwap(nil, build())
	return l.p.Load()
}

// In returns the records of the service in a zone.
func (s *Service) In(z Zone) *Records {
	head := s.records.Load()
	for r := head; r != nil; r = r.next {
		if r.zone == z {
			return r
		}
	}
	r := &Records{service: s, zone: z, next: head, owner: z.Name(s.key + ".svc")}
	s.records.CompareAndSwap(head, r) // who loses builds it once more, next time
	return r
}

// Exist reports whether the name of the service exists: a headless service without a ready endpoint does not (KEP-1645,
// DNS specification 2.4.1).
func (r *Records) Exist() bool {
	if len(r.owner) > maxName {
		return false
	}
	if !r.service.Headless {
		return true
	}
	return slices.ContainsFunc(r.service.slices, func(s *Slice) bool { return s.len() > 0 })
}

// A returns the IPv4 addresses at the name of the service.
func (r *Records) A() *RRset {
	return r.a.get(func() *RRset { return r.addresses(net.IPv4len) })
}

// AAAA returns the IPv6 addresses at the name of the service.
func (r *Records) AAAA() *RRset {
	return r.aaaa.get(func() *RRset { return r.addresses(net.IPv6len) })
}

// SRV returns the service records at the name of the service: one for each target and port number.
func (r *Records) SRV() *RRset {
	return r.srv.get(func() *RRset { return r.services(r.owner, func(Port) bool { return true }) })
}

func (r *Records) addresses(width int) *RRset {
	var found [][]byte
	if r.service.Headless {
		seen := map[string]struct{}{}
		for _, e := range r.service.ready() {
			if _, dup := seen[string(e.octets)]; !dup && len(e.octets) == width {
				seen[string(e.octets)] = struct{}{}
				found = append(found, e.octets)
			}
		}
	} else {
		for _, ip := range r.service.IPs {
			if ip.BitLen() == width*8 {
				found = append(found, ip.AsSlice())
			}
		}
	}
	return NewRRset(addressRecords(r.owner, r.zone.TTL, found), nil)
}

// services builds the SRV records for the ports that want names.
func (r *Records) services(owner string, want func(Port) bool) *RRset {
	if len(owner) > maxName {
		return NewRRset(nil, nil)
	}
	if r.service.Headless {
		return r.endpointServices(owner, want)
	}
	extra := append(r.A().All(), r.AAAA().All()...)
	if len(extra) == 0 {
		return NewRRset(nil, nil) // nothing to reach yet
	}
	var numbers []uint16
	for _, p := range r.service.Ports {
		if want(p) && !slices.Contains(numbers, p.Number) {
			numbers = append(numbers, p.Number)
		}
	}
	rrs := serviceRecords(owner, r.zone.TTL, len(numbers), func(i int) (string, uint16) { return r.owner, numbers[i] })
	return NewRRset(rrs, extra)
}

// endpointServices builds the SRV records of a headless service: for each name of an endpoint the numbers that its slices
// give to the wanted ports, and its addresses.
func (r *Records) endpointServices(owner string, want func(Port) bool) *RRset {
	type target struct {
		name   string
		number uint16
	}
	var (
		targets []target
		extra   []dns.RR
		from    []int32
	)
	done := map[*Node]bool{}
	names := r.Below()
	buf := make([]byte, 0, 2*maxName)
	for _, e := range r.service.ready() {
		buf = e.appendName(buf[:0])
		node := names[string(buf)]
		if len(buf) == 0 || node == nil || done[node] {
			continue
		}
		done[node] = true
		var numbers []uint16
		for _, p := range node.ports {
			if want(p) && !slices.Contains(numbers, p.Number) {
				numbers = append(numbers, p.Number)
				targets = append(targets, target{node.target, p.Number})
				from = append(from, int32(len(extra)))
			}
		}
		if len(numbers) > 0 {
			// All its addresses come with its first port: a client needs them once.
			extra = append(extra, addressRecords(node.target, r.zone.TTL, node.octets)...)
			for i := len(from) - len(numbers) + 1; i < len(from); i++ {
				from[i] = int32(len(extra))
			}
		}
	}
	from = append(from, int32(len(extra)))
	rrs := serviceRecords(owner, r.zone.TTL, len(targets), func(i int) (string, uint16) {
		return targets[i].name, targets[i].number
	})
	return newServiceSet(rrs, extra, from)
}

// addressRecords builds A and AAAA records in one block each.
func addressRecords(owner string, ttl uint32, found [][]byte) []dns.RR {
	if len(owner) > maxName {
		return nil
	}
	rrs := make([]dns.RR, 0, len(found))
	as, aaaas := []dns.A(nil), []dns.AAAA(nil)
	for i, octets := range found {
		hdr := dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
		if len(octets) == net.IPv4len {
			if as == nil {
				as = make([]dns.A, 0, len(found)-i)
			}
			as = append(as, dns.A{Hdr: hdr, A: octets})
			rrs = append(rrs, &as[len(as)-1])
			continue
		}
		if aaaas == nil {
			aaaas = make([]dns.AAAA, 0, len(found)-i)
		}
		hdr.Rrtype = dns.TypeAAAA
		aaaas = append(aaaas, dns.AAAA{Hdr: hdr, AAAA: octets})
		rrs = append(rrs, &aaaas[len(aaaas)-1])
	}
	return rrs
}

// serviceRecords builds n SRV records of equal weight in one block, as other plugins of CoreDNS weigh them.
func serviceRecords(owner string, ttl uint32, n int, at func(int) (string, uint16)) []dns.RR {
	block := make([]dns.SRV, n)
	rrs := make([]dns.RR, n)
	for i := range block {
		target, port := at(i)
		block[i] = dns.SRV{
			Hdr:    dns.RR_Header{Name: owner, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: ttl},
			Weight: uint16(max(100/n, 1)), Port: port, Target: target,
		}
		rrs[i] = &block[i]
	}
	return rrs
}

// endpoint is one address of a ready endpoint, where it comes from, and the ports that its slice has.
type endpoint struct {
	octets []byte
	slice  *Slice
	host   string
}

// ready returns the ready endpoints of a headless service, the clusters by turns, so that any few in a row come from as
// many clusters as possible.
func (s *Service) ready() []endpoint {
	var clusters [][]endpoint
	total := 0
	for i, slice := range s.slices {
		if i == 0 || s.slices[i-1].cluster != slice.cluster {
			clusters = append(clusters, nil)
		}
		last := &clusters[len(clusters)-1]
		for j := range slice.len() {
			*last = append(*last, endpoint{slice.addr(j), slice, slice.host(j)})
		}
		total += slice.len()
	}
	all := make([]endpoint, 0, total)
	for turn := 0; len(all) < total; turn++ {
		for _, c := range clusters {
			if turn < len(c) {
				all = append(all, c[turn])
			}
		}
	}
	return all
}

// appendName appends the endpoint's name below that of the service, "<hostname>.<cluster>", or nothing where it has none.
func (e endpoint) appendName(buf []byte) []byte {
	if e.slice.cluster == "" {
		return buf
	}
	if e.host != "" {
		buf = append(buf, e.host...)
	} else {
		buf = appendHostname(buf, e.octets)
	}
	return append(append(buf, '.'), e.slice.cluster...)
}
