package view

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Service is one multi-cluster service: its import, and the EndpointSlices that belong to it. It never changes.
type Service struct {
	key      string // "name.namespace"
	hash     uint64 // of key, in the table that the service is in
	imported bool
	Import
	slices []*Slice // by cluster, then by name
	keeper *keeper  // of the view that it was made for

	records  atomic.Pointer[Records] // in one zone after another
	building sync.Mutex              // held by who adds to them
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

// Name returns the name of the service, which is also that of its import.
func (s *Service) Name() string { return s.key[:strings.IndexByte(s.key, '.')] }

// Namespace returns the namespace of the service.
func (s *Service) Namespace() string { return s.key[strings.IndexByte(s.key, '.')+1:] }

// Key returns "name.namespace".
func (s *Service) Key() string { return s.key }

// forget drops what was built for questions.
func (s *Service) forget() {
	s.building.Lock()
	defer s.building.Unlock()
	s.records.Store(nil)
	for _, slice := range s.slices {
		slice.forget()
	}
}

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

// of returns the slices of a cluster.
func (s *Service) of(cluster string) []*Slice {
	first, found := slices.BinarySearchFunc(s.slices, cluster, func(t *Slice, cluster string) int { return strings.Compare(t.cluster, cluster) })
	last := first
	for found && last < len(s.slices) && s.slices[last].cluster == cluster {
		last++
	}
	return s.slices[first:last]
}

// preferred returns the slices that stand behind the name of a headless service: those of the lowest rank that has a ready
// endpoint. Names of endpoints answer whatever the rank.
func (s *Service) preferred() []*Slice {
	var first *Slice
	for _, t := range s.slices {
		if t.len() > 0 && (first == nil || t.rank < first.rank) {
			first = t
		}
	}
	other := func(t *Slice) bool { return first == nil || t.rank != first.rank }
	if !slices.ContainsFunc(s.slices, other) {
		return s.slices
	}
	return slices.DeleteFunc(slices.Clone(s.slices), other)
}

// useful reports whether anything is known of the service: only then anybody misses it.
func (s *Service) useful() bool { return s.imported || len(s.slices) > 0 }

// weigh returns 1 for an imported service, or only for a headless one, and 0 for others.
func (s *Service) weigh(headless bool) int {
	if s == nil || !s.imported || headless && !s.Headless {
		return 0
	}
	return 1
}

func (i *Import) equal(j *Import) bool {
	return i.Headless == j.Headless && slices.Equal(i.IPs, j.IPs) && slices.Equal(i.Ports, j.Ports)
}
