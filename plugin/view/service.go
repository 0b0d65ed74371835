package view

import (
	"bytes"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// Service is one multi-cluster service: its import, and the EndpointSlices that belong to it. It never changes.
type Service struct {
	key      string // "name.namespace"
	imported bool
	Import
	slices  []*Slice // by cluster, then by name
	records atomic.Pointer[Records]
}

// Import is what DNS needs of a ServiceImport.
type Import struct {
	// Headless says that the service has no address of its own: its name stands for its endpoints.
	Headless bool
	// IPs are the addresses of a ClusterSetIP service, none while none are assigned.
	IPs []netip.Addr
	// Ports are the ports of a ClusterSetIP service. Headless services have those of their slices.
	Ports []Port
}

// Port is a named port: DNS has no use for others (KEP-1645: SRV records are for named ports).
type Port struct {
	Name     string // a DNS label without its underscore, lower case
	Protocol string // "tcp", "udp", "sctp"
	Number   uint16
}

// Endpoint is one address of a ready endpoint.
type Endpoint struct {
	Addr netip.Addr
	// Hostname is the name that the slice gives the endpoint, a DNS label in lower case, or empty: the name is made from
	// the address then.
	Hostname string
}

// Slice is what DNS needs of an EndpointSlice: the ready endpoints of one cluster, all of one address family. It never
// changes.
type Slice struct {
	name    string
	cluster string
	ports   []Port
	octets  []byte   // the addresses, width octets each, ascending
	hosts   []string // their hostnames, or nil where none has one
	width   int      // 4 or 16
}

// NewSlice packs the ready endpoints of the EndpointSlice called name. The cluster is a DNS name in lower case, or
// empty where it is unknown: its endpoints have no names then. Addresses of another family than the first one are
// left out, as are duplicates. The given endpoints are sorted in place.
func NewSlice(name, cluster string, ports []Port, endpoints []Endpoint) *Slice {
	s := &Slice{name: name, cluster: cluster, ports: ports, width: 4}
	if len(endpoints) == 0 {
		return s
	}
	v4 := endpoints[0].Addr.Is4()
	endpoints = slices.DeleteFunc(endpoints, func(e Endpoint) bool { return e.Addr.Is4() != v4 })
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
		s.octets = append(s.octets, e.Addr.AsSlice()...)
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

// Name returns the name of the service, which is also that of its import.
func (s *Service) Name() string { return s.key[:strings.IndexByte(s.key, '.')] }

// Namespace returns the namespace of the service.
func (s *Service) Namespace() string { return s.key[strings.IndexByte(s.key, '.')+1:] }

// Key returns "name.namespace".
func (s *Service) Key() string { return s.key }

func (s *Service) withImport(key string, imp *Import) *Service {
	next := &Service{key: key}
	if s != nil {
		next.key, next.slices = s.key, s.slices
	}
	if imp != nil {
		next.imported, next.Import = true, *imp
	}
	return next
}

func (s *Service) withSlice(key string, slice *Slice) *Service {
	next := &Service{key: key}
	if s != nil {
		next = &Service{key: s.key, imported: s.imported, Import: s.Import}
		next.slices = make([]*Slice, 0, len(s.slices)+1)
		for _, other := range s.slices {
			if other.name != slice.name {
				next.slices = append(next.slices, other)
			}
		}
	}
	at, _ := slices.BinarySearchFunc(next.slices, slice, compareSlices)
	next.slices = slices.Insert(next.slices, at, slice)
	return next
}

func (s *Service) withoutSlice(name string) *Service {
	next := &Service{key: s.key, imported: s.imported, Import: s.Import}
	for _, other := range s.slices {
		if other.name != name {
			next.slices = append(next.slices, other)
		}
	}
	return next
}

func compareSlices(a, b *Slice) int {
	if c := strings.Compare(a.cluster, b.cluster); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

func (s *Service) slice(name string) *Slice {
	if s == nil {
		return nil
	}
	for _, slice := range s.slices {
		if slice.name == name {
			return slice
		}
	}
	return nil
}

// weigh returns 1 for an imported service, or only for a headless one, and 0 for others.
func (s *Service) weigh(headless bool) int {
	if s == nil || !s.imported || headless && !s.Headless {
		return 0
	}
	return 1
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
	return s.name == t.name && s.cluster == t.cluster && s.width == t.width &&
		bytes.Equal(s.octets, t.octets) && slices.Equal(s.hosts, t.hosts) && slices.Equal(s.ports, t.ports)
}

func (i *Import) equal(j *Import) bool {
	return i.Headless == j.Headless && slices.Equal(i.IPs, j.IPs) && slices.Equal(i.Ports, j.Ports)
}

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
	return lost(old, next) || lost(next, old)
}

// lost reports whether an endpoint of a is missing in b, or has other ports there.
func lost(a, b *Service) bool {
	for _, s := range a.slices {
		if slices.ContainsFunc(b.slices, func(t *Slice) bool { return t == s }) {
			continue
		}
		for i := range s.len() {
			if !slices.ContainsFunc(b.slices, func(t *Slice) bool { return t.holds(s, i) }) {
				return true
			}
		}
	}
	return false
}

// holds reports whether s has the i-th endpoint of t, with the same name and the same ports.
func (s *Slice) holds(t *Slice, i int) bool {
	if s.width != t.width || s.cluster != t.cluster || !slices.Equal(s.ports, t.ports) {
		return false
	}
	want := t.addr(i)
	j, _ := sort.Find(s.len(), func(j int) int { return bytes.Compare(want, s.addr(j)) })
	for ; j < s.len() && bytes.Equal(s.addr(j), want); j++ {
		if s.host(j) == t.host(i) {
			return true
		}
	}
	return false
}
