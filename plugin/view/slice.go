package view

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Endpoint is one address of a ready endpoint.
type Endpoint struct {
	Addr netip.Addr
	// Hostname is the name that the slice gives the endpoint, a DNS label in lower case, or empty: the name is made from
	// the address then.
	Hostname string
}

// label returns the hostname, or nothing where it is the one that is made from the address anyway: then an endpoint has the same
// name and address as another one if both are spelled alike.
func (e Endpoint) label() string {
	if strings.Count(e.Hostname, "-") < 2 { // the shortest is that of ::
		return e.Hostname
	}
	var octets [16]byte
	var text [MaxName]byte
	if string(appendHostname(text[:0], appendAddr(octets[:0], e.Addr))) == e.Hostname {
		return ""
	}
	return e.Hostname
}

// Slice is what DNS needs of an EndpointSlice: the ready endpoints of one cluster, all of one address family. It never
// changes.
type Slice struct {
	name    string
	cluster string
	rank    int      // where its cluster stands in the order of preference, 0 first
	ports   []Port   // sorted
	digest  uint64   // of ports
	octets  []byte   // the addresses, width octets each, ascending
	hosts   []string // their hostnames, or nil where none has one
	width   int      // 4 or 16

	index     lazy[hostnames]
	endpoints atomic.Pointer[endpoints] // in one zone after another
	building  sync.Mutex                // held by who adds to them
}

// endpoints are the records at the names of the endpoints of one slice in one zone, each set in the place of the first
// endpoint that has the name.
type endpoints struct {
	service string // its name in full
	ttl     uint32
	next    *endpoints // the same in another zone
	sets    []atomic.Pointer[RRset]

	building sync.Mutex // held by who adds a set: there are too many for a lock each
}

// NewSlice packs the ready endpoints of the EndpointSlice called name. The cluster is a DNS name in lower case, or
// empty where it is unknown: its endpoints have no names then. The rank says where the cluster stands in the order of
// preference, from 0 on. Addresses of another family than the first one are left out, as are duplicates. The given
// endpoints are sorted in place.
func NewSlice(name, cluster string, rank int, ports []Port, endpoints []Endpoint) *Slice {
	s := &Slice{name: name, cluster: cluster, rank: rank, ports: sortedPorts(ports), width: 4}
	s.digest = digest(s.ports)
	if len(endpoints) == 0 {
		return s
	}
	v4 := endpoints[0].Addr.Is4()
	endpoints = slices.DeleteFunc(endpoints, func(e Endpoint) bool { return e.Addr.Is4() != v4 })
	for i := range endpoints {
		endpoints[i].Hostname = endpoints[i].label()
	}
	slices.SortFunc(endpoints, func(a, b Endpoint) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(a.Hostname, b.Hostname)
	})
	endpoints = slices.Compact(endpoints)
	if !v4 {
		s.width = 16
	}
	s.octets = make([]byte, 0, len(endpoints)*s.width)
	for i, e := range endpoints {
		s.octets = appendAddr(s.octets, e.Addr)
		if e.Hostname == "" {
			continue
		}
		if s.hosts == nil {
			s.hosts = make([]string, len(endpoints))
		}
		s.hosts[i] = e.Hostname
	}
	return s
}

func appendAddr(octets []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		a := addr.As4()
		return append(octets, a[:]...)
	}
	a := addr.As16()
	return append(octets, a[:]...)
}

func compareSlices(a, b *Slice) int {
	if c := strings.Compare(a.cluster, b.cluster); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

func (s *Slice) len() int {
	if s == nil {
		return 0
	}
	return len(s.octets) / s.width
}

// addr returns the octets of the i-th address, shared.
func (s *Slice) addr(i int) []byte { return s.octets[i*s.width : (i+1)*s.width : (i+1)*s.width] }

func (s *Slice) host(i int) string {
	if s.hosts == nil {
		return ""
	}
	return s.hosts[i]
}

func (s *Slice) equal(t *Slice) bool {
	return s.name == t.name && s.cluster == t.cluster && s.rank == t.rank && s.width == t.width &&
		bytes.Equal(s.octets, t.octets) && slices.Equal(s.hosts, t.hosts) && s.samePorts(t)
}

// search returns the first endpoint that has an address, or one past where it would be.
func (s *Slice) search(octets []byte) (at int, found bool) {
	n := s.len()
	if s.width != 4 {
		return sort.Find(n, func(i int) int { return bytes.Compare(octets, s.addr(i)) })
	}
	want := binary.BigEndian.Uint32(octets)
	at = sort.Search(n, func(i int) bool { return binary.BigEndian.Uint32(s.octets[4*i:]) >= want })
	return at, at < n && binary.BigEndian.Uint32(s.octets[4*at:]) == want
}

// samePorts reports whether both have the same ports.
func (s *Slice) samePorts(t *Slice) bool {
	return s.digest == t.digest && slices.Equal(s.ports, t.ports)
}

// digest returns a number that hardly any other ports have.
func digest(ports []Port) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range ports {
		maphash.WriteComparable(&h, p)
	}
	return h.Sum64()
}

var seed = maphash.MakeSeed()

// holds reports whether s has the i-th endpoint of t, another slice of the same family, with the same name. An endpoint of an
// unknown cluster has no name, and so no ports: it is held where its address is.
func (s *Slice) holds(t *Slice, i int) bool {
	want, host := t.addr(i), t.host(i)
	first, found := s.search(want)
	if !found || t.cluster == "" || s.host(first) == host {
		return found
	}
	if s.hosts == nil {
		return false
	}
	at := first + sort.Search(s.len()-first, func(n int) bool { return s.compare(first+n, want, host) >= 0 })
	return at < s.len() && s.compare(at, want, host) == 0
}

// compare compares the i-th endpoint with an address and a hostname, in the order in which endpoints are.
func (s *Slice) compare(i int, octets []byte, host string) int {
	if c := bytes.Compare(s.addr(i), octets); c != 0 {
		return c
	}
	return strings.Compare(s.host(i), host)
}

// appendName appends the name of the i-th endpoint below that of the service, "<hostname>.<cluster>", or nothing where it has
// none.
func (s *Slice) appendName(buf []byte, i int) []byte {
	if s.cluster == "" {
		return buf
	}
	if host := s.host(i); host != "" {
		buf = append(buf, host...)
	} else {
		buf = appendHostname(buf, s.addr(i))
	}
	return append(append(buf, '.'), s.cluster...)
}

// LongestName returns the length of the longest name of an endpoint below that of the service, "<hostname>.<cluster>"; 0 where
// none has one.
func (s *Slice) LongestName() (longest int) {
	var buf [2 * MaxName]byte
	for i := range s.len() {
		longest = max(longest, len(s.appendName(buf[:0], i)))
	}
	return longest
}

// find returns the first endpoint that has a name, -1 if none has.
func (s *Slice) find(h hostname, k *keeper) int {
	if s.hosts != nil {
		names := s.byHostname(k)
		if in, ok := names.rows[h.label]; ok {
			return int(names.order[in.from])
		}
	}
	return s.findNameless(h.addr)
}

// findNameless returns the endpoint whose name is made from an address, -1 if there is none.
func (s *Slice) findNameless(addr netip.Addr) int {
	if addr.BitLen() != s.width*8 {
		return -1
	}
	var buf [16]byte
	at, found := s.search(appendAddr(buf[:0], addr))
	if !found || s.host(at) != "" { // the nameless is the first of several
		return -1
	}
	return at
}

// hostnames are the endpoints of each hostname, which are in a row in order.
type hostnames struct {
	order []int32
	rows  map[string]row
}

type row struct{ from, to int32 }

func (s *Slice) byHostname(k *keeper) *hostnames {
	return s.index.get(func() *hostnames {
		h := &hostnames{order: make([]int32, 0, len(s.hosts)), rows: map[string]row{}}
		for i, host := range s.hosts {
			if host != "" {
				h.order = append(h.order, int32(i))
			}
		}
		slices.SortStableFunc(h.order, func(a, b int32) int { return strings.Compare(s.hosts[a], s.hosts[b]) })
		for i, at := range h.order {
			host := s.hosts[at]
			in, known := h.rows[host]
			if !known {
				in.from = int32(i)
			}
			in.to = int32(i + 1)
			h.rows[host] = in
		}
		k.add(setBytes + 4*len(s.hosts) + rowBytes*len(h.rows))
		return h
	})
}

// appendEndpoints appends the endpoints at a name that find found, each address once.
func (s *Slice) appendEndpoints(all []endpoint, at int, h hostname, k *keeper) []endpoint {
	if s.host(at) == "" {
		return append(all, endpoint{s, int32(at)})
	}
	names := s.byHostname(k)
	in := names.rows[h.label]
	held := false
	nameless := s.findNameless(h.addr)
	for _, i := range names.order[in.from:in.to] {
		all = append(all, endpoint{s, i})
		held = held || nameless >= 0 && bytes.Equal(s.addr(int(i)), s.addr(nameless))
	}
	if nameless >= 0 && !held {
		all = append(all, endpoint{s, int32(nameless)})
	}
	return all
}

// endpoint returns the addresses at a name that find found.
func (s *Slice) endpoint(r *Records, at int, h hostname) *RRset {
	e := s.in(r)
	return once(&e.sets[at], &e.building, func() *RRset {
		a := r.at(h.label+"."+s.cluster+"."+r.owner, s.width)
		all := s.appendEndpoints(nil, at, h, r.keeper)
		a.octets = make([]byte, 0, len(all)*s.width)
		for _, e := range all {
			a.octets = append(a.octets, e.octets()...)
		}
		return r.keeper.keep(a.set())
	})
}

// in returns the records of the endpoints for a service in a zone.
func (s *Slice) in(r *Records) *endpoints {
	if e := s.endpoints.Load().in(r); e != nil {
		return e
	}
	s.building.Lock()
	defer s.building.Unlock()
	head := s.endpoints.Load()
	e := head.in(r)
	if e == nil {
		e = &endpoints{service: r.owner, ttl: r.zone.TTL, next: head, sets: make([]atomic.Pointer[RRset], s.len())}
		r.keeper.add(setBytes + 8*s.len())
		s.endpoints.Store(e)
	}
	return e
}

// in returns the records for a service in a zone, nil if nobody asked for them yet.
func (e *endpoints) in(r *Records) *endpoints {
	for e != nil && (e.ttl != r.zone.TTL || e.service != r.owner) {
		e = e.next
	}
	return e
}

// forget drops what was built for questions.
func (s *Slice) forget() {
	s.building.Lock()
	defer s.building.Unlock()
	s.endpoints.Store(nil)
	s.index.forget()
}
