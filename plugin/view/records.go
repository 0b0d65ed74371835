package view

import (
	"bytes"
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
	exist   bool

	a, aaaa, srv lazy[RRset]
	names        lazy[map[string]*portName]
	targets      lazy[[]*target]
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
	r.exist = len(r.owner) <= MaxName && (!s.Headless || slices.ContainsFunc(s.slices, func(t *Slice) bool { return t.len() > 0 }))
	s.records.CompareAndSwap(head, r) // who loses builds it once more, next time
	return r
}

// Exist reports whether the name of the service exists: a headless service without a ready endpoint does not (KEP-1645,
// DNS specification 2.4.1).
func (r *Records) Exist() bool { return r.exist }

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
			octets := e.slice.addr(e.at)
			if _, dup := seen[string(octets)]; !dup && len(octets) == width {
				seen[string(octets)] = struct{}{}
				found = append(found, octets)
			}
		}
	} else {
		for _, ip := range r.service.IPs {
			if ip.BitLen() == width*8 {
				found = append(found, ip.AsSlice())
			}
		}
	}
	return addressSet(r.owner, r.zone.TTL, found)
}

// services builds the SRV records for the ports that want names.
func (r *Records) services(owner string, want func(Port) bool) *RRset {
	if len(owner) > MaxName {
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
	if len(numbers) == 1 {
		return newSingleService(owner, r.zone.TTL, r.owner, numbers[0], extra)
	}
	rrs := serviceRecords(owner, r.zone.TTL, len(numbers), func(i int) (string, uint16) { return r.owner, numbers[i] })
	return NewRRset(rrs, extra)
}

// target is the name of an endpoint, as SRV records have it.
type target struct {
	name   string
	octets [][]byte // its addresses
	ports  []Port
}

// endpointServices builds the SRV records of a headless service: for each name of an endpoint the numbers that its slices
// give to the wanted ports, and its addresses.
func (r *Records) endpointServices(owner string, want func(Port) bool) *RRset {
	type service struct {
		name   string
		number uint16
	}
	var (
		services []service
		extra    []dns.RR
		from     []int32
	)
	for _, t := range r.named() {
		var numbers []uint16
		for _, p := range t.ports {
			if want(p) && !slices.Contains(numbers, p.Number) {
				numbers = append(numbers, p.Number)
				services = append(services, service{t.name, p.Number})
				from = append(from, int32(len(extra)))
			}
		}
		if len(numbers) > 0 {
			// All its addresses come with its first port: a client needs them once.
			extra = append(extra, addressRecords(t.name, r.zone.TTL, t.octets)...)
			for i := len(from) - len(numbers) + 1; i < len(from); i++ {
				from[i] = int32(len(extra))
			}
		}
	}
	from = append(from, int32(len(extra)))
	rrs := serviceRecords(owner, r.zone.TTL, len(services), func(i int) (string, uint16) {
		return services[i].name, services[i].number
	})
	return newServiceSet(rrs, extra, from)
}

// named returns the names of the endpoints that stand behind the service, the clusters by turns.
func (r *Records) named() []*target {
	return *r.targets.get(func() *[]*target {
		var all []*target
		byName := map[string]*target{}
		buf := make([]byte, 0, 2*MaxName)
		for _, e := range r.service.ready() {
			if buf = e.slice.appendName(buf[:0], e.at); len(buf) == 0 || !r.fits(len(buf)) {
				continue
			}
			t := byName[string(buf)]
			if t == nil {
				sub := len(buf)
				t = &target{name: string(append(append(buf, '.'), r.owner...))}
				byName[t.name[:sub]] = t
				all = append(all, t)
			}
			octets := e.slice.addr(e.at)
			if !slices.ContainsFunc(t.octets, func(o []byte) bool { return bytes.Equal(o, octets) }) {
				t.octets = append(t.octets, octets)
			}
			t.ports = union(t.ports, e.slice.ports)
		}
		return &all
	})
}

// union returns the ports of both, one of the two itself where the other has nothing to add.
func union(a, b []Port) []Port {
	if len(a) == 0 {
		return b
	}
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(slices.Clip(a), p)
		}
	}
	return a
}

// addressSet builds the set of A or AAAA records at a name.
func addressSet(owner string, ttl uint32, found [][]byte) *RRset {
	if len(found) == 1 && len(found[0]) == net.IPv4len && len(owner) <= MaxName {
		return newSingleAddress(owner, ttl, found[0])
	}
	return NewRRset(addressRecords(owner, ttl, found), nil)
}

// addressRecords builds A and AAAA records in one block each.
func addressRecords(owner string, ttl uint32, found [][]byte) []dns.RR {
	if len(owner) > MaxName {
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

// maxWeight is what the SRV records of a set weigh together, as far as each weighs anything.
const maxWeight = 100

// serviceRecords builds n SRV records of equal weight in one block, as other plugins of CoreDNS weigh them.
func serviceRecords(owner string, ttl uint32, n int, at func(int) (string, uint16)) []dns.RR {
	block := make([]dns.SRV, n)
	rrs := make([]dns.RR, n)
	for i := range block {
		target, port := at(i)
		block[i] = dns.SRV{
			Hdr:    dns.RR_Header{Name: owner, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: ttl},
			Weight: uint16(max(maxWeight/n, 1)), Port: port, Target: target,
		}
		rrs[i] = &block[i]
	}
	return rrs
}

// endpoint is one address of a ready endpoint.
type endpoint struct {
	slice *Slice
	at    int
}

// ready returns the ready endpoints that stand behind a headless service, the clusters by turns, so that any few in a row
// come from as many clusters as possible.
func (s *Service) ready() []endpoint {
	var clusters [][]endpoint
	total := 0
	preferred := s.preferred()
	for i, slice := range preferred {
		if i == 0 || preferred[i-1].cluster != slice.cluster {
			clusters = append(clusters, nil)
		}
		last := &clusters[len(clusters)-1]
		for j := range slice.len() {
			*last = append(*last, endpoint{slice, j})
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
