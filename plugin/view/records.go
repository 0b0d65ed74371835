package view

import (
	"net"
	"net/netip"
	"slices"
	"sync"
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
	keeper  *keeper  // nil where they are dropped after use
	owner   string
	exist   bool

	a, aaaa, srv lazy[RRset]
	names        lazy[map[string]*portName]
	targets      lazy[targets]
	shared       shared
}

// lazy is a value that is built on first use, once: whoever else asks for it meanwhile waits.
type lazy[T any] struct {
	p  atomic.Pointer[T]
	mu sync.Mutex
}

func (l *lazy[T]) get(build func() *T) *T { return once(&l.p, &l.mu, build) }

func (l *lazy[T]) forget() { l.p.Store(nil) }

// once returns what is at p. If nothing is, one caller builds it while the others wait. What is built under one lock must not
// need anything else under it.
func once[T any](p *atomic.Pointer[T], mu *sync.Mutex, build func() *T) *T {
	if v := p.Load(); v != nil {
		return v
	}
	mu.Lock()
	defer mu.Unlock()
	v := p.Load()
	if v == nil {
		v = build()
		p.Store(v)
	}
	return v
}

// In returns the records of the service in a zone.
func (s *Service) In(z Zone) *Records {
	if r := s.records.Load().in(z); r != nil {
		return r
	}
	s.building.Lock()
	defer s.building.Unlock()
	head := s.records.Load()
	r := head.in(z)
	if r == nil {
		r = s.in(z)
		r.next, r.keeper = head, s.keeper
		r.keeper.add(setBytes + len(r.owner))
		s.records.Store(r)
	}
	return r
}

// in returns the records in a zone, nil if nobody asked for them yet.
func (r *Records) in(z Zone) *Records {
	for r != nil && r.zone != z {
		r = r.next
	}
	return r
}

// in returns the records of the service in a zone, for the caller alone.
func (s *Service) in(z Zone) *Records {
	r := &Records{service: s, zone: z, owner: z.Name(s.key + ".svc")}
	r.exist = len(r.owner) <= MaxName && (!s.Headless || slices.ContainsFunc(s.slices, func(t *Slice) bool { return t.len() > 0 }))
	return r
}

// Exist reports whether the name of the service exists: a headless service without a ready endpoint does not (KEP-1645,
// DNS specification 2.4.1).
func (r *Records) Exist() bool { return r.exist }

// A returns the IPv4 addresses at the name of the service.
func (r *Records) A() *RRset {
	return r.a.get(func() *RRset { return r.keeper.keep(r.addresses(net.IPv4len).set()) })
}

// AAAA returns the IPv6 addresses at the name of the service.
func (r *Records) AAAA() *RRset {
	return r.aaaa.get(func() *RRset { return r.keeper.keep(r.addresses(net.IPv6len).set()) })
}

// SRV returns the service records at the name of the service: one for each target and port number.
func (r *Records) SRV() *RRset {
	return r.srv.get(func() *RRset { return r.keeper.keep(r.serviceSet(r.owner, everyPort)) })
}

func (r *Records) addresses(width int) *addresses {
	a := r.at(r.owner, width)
	if r.service.Headless {
		a.collect(r.service.ready())
		return a
	}
	for _, ip := range r.service.IPs {
		if ip.BitLen() == width*8 {
			a.octets = appendAddr(a.octets, ip)
		}
	}
	return a
}

// at returns the addresses at a name, none yet.
func (r *Records) at(owner string, width int) *addresses {
	return &addresses{owner: owner, ttl: r.zone.TTL, width: width}
}

// addresses are A or AAAA records at one name.
type addresses struct {
	owner  string
	ttl    uint32
	width  int
	octets []byte // width of them each
}

// collect takes over the addresses of endpoints, each once.
func (a *addresses) collect(all []endpoint) {
	if !slices.ContainsFunc(all, func(e endpoint) bool { return e.slice.width == a.width }) {
		return
	}
	a.octets = make([]byte, 0, len(all)*a.width)
	seen := make(map[netip.Addr]struct{}, len(all))
	for _, e := range all {
		if e.slice.width != a.width {
			continue
		}
		octets := e.octets()
		addr, _ := netip.AddrFromSlice(octets)
		before := len(seen)
		if seen[addr] = struct{}{}; len(seen) > before {
			a.octets = append(a.octets, octets...)
		}
	}
	a.octets = exactly(a.octets)
}

// exactly returns a list that takes no more memory than it needs: it is kept.
func exactly[T any](list []T) []T {
	if len(list) < cap(list) {
		return append(make([]T, 0, len(list)), list...)
	}
	return list
}

func (a *addresses) len() int { return len(a.octets) / a.width }

func (a *addresses) largest() int { return fixedSize + a.width }

func (a *addresses) at(i int) []byte {
	return a.octets[i*a.width : (i+1)*a.width : (i+1)*a.width]
}

func (a *addresses) make(first, most, room int) []dns.RR {
	n := min(most, room/a.largest())
	rrs := newAddressRecords(n, n*(net.IPv6len-a.width)/(net.IPv6len-net.IPv4len))
	last := a.len() - 1
	for i := first; len(rrs.rrs) < n; i++ {
		rrs.add(a.owner, a.ttl, a.at(i))
		if i == last {
			i = -1
		}
	}
	return rrs.rrs
}

// set returns the records as a set.
func (a *addresses) set() *RRset {
	switch n := a.len(); {
	case n == 0 || len(a.owner) > MaxName:
		return NewRRset(nil, nil)
	case n == 1 && a.width == net.IPv4len:
		return newSingleAddress(a.owner, a.ttl, a.octets)
	case n*a.largest() > maxSet:
		return newWindowedSet(a)
	default:
		return newRRset(a.make(0, n, maxSet), nil)
	}
}

// addressRecords are A and AAAA records, in one block each.
type addressRecords struct {
	rrs   []dns.RR
	as    []dns.A
	aaaas []dns.AAAA
}

// newAddressRecords returns a place for n records, as of them A.
func newAddressRecords(n, as int) *addressRecords {
	r := &addressRecords{rrs: make([]dns.RR, 0, n)}
	if as > 0 {
		r.as = make([]dns.A, 0, as)
	}
	if n > as {
		r.aaaas = make([]dns.AAAA, 0, n-as)
	}
	return r
}

func (r *addressRecords) add(owner string, ttl uint32, octets []byte) {
	hdr := dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
	if len(octets) == net.IPv4len {
		r.as = append(r.as, dns.A{Hdr: hdr, A: octets})
		r.rrs = append(r.rrs, &r.as[len(r.as)-1])
		return
	}
	hdr.Rrtype = dns.TypeAAAA
	r.aaaas = append(r.aaaas, dns.AAAA{Hdr: hdr, AAAA: octets})
	r.rrs = append(r.rrs, &r.aaaas[len(r.aaaas)-1])
}

// endpoint is one address of a ready endpoint.
type endpoint struct {
	slice *Slice
	at    int32
}

func (e endpoint) octets() []byte { return e.slice.addr(int(e.at)) }

// ready returns the ready endpoints that stand behind a headless service, the clusters by turns, so that any few in a row
// come from as many clusters as possible.
func (s *Service) ready() []endpoint {
	type cluster struct {
		slices []*Slice
		at     int // in the first of them
	}
	var clusters []cluster
	total := 0
	preferred := s.preferred()
	for i, from := 0, 0; i < len(preferred); i++ {
		total += preferred[i].len()
		if i+1 == len(preferred) || preferred[i+1].cluster != preferred[i].cluster {
			clusters = append(clusters, cluster{slices: preferred[from : i+1]})
			from = i + 1
		}
	}
	all := make([]endpoint, 0, total)
	for len(clusters) > 0 {
		left := clusters[:0]
		for _, c := range clusters {
			for len(c.slices) > 0 && c.at == c.slices[0].len() {
				c.slices, c.at = c.slices[1:], 0
			}
			if len(c.slices) > 0 {
				all = append(all, endpoint{c.slices[0], int32(c.at)})
				c.at++
				left = append(left, c)
			}
		}
		clusters = left
	}
	return all
}
