package keep

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// A member has room for so much under one name (SPEC X6): twice what the slices of a Service of 50,000 endpoints take, with a hundred
// ports. The controller keeps it in memory, and each importing cluster in etcd, in every kube-proxy, and in CoreDNS.
const (
	MaxSlices     = 1000
	MaxEndpoints  = 100_000
	MaxSlicePorts = 100_000
	// MaxSliceBytes is what that takes in memory at most: an endpoint of an honest cluster takes about 250 bytes.
	MaxSliceBytes = 64 << 20
)

// MostOfName is what a member has room for under one name, as [Weigh] counts.
var MostOfName = [4]int32{MaxSlices, MaxEndpoints, MaxSlicePorts, MaxSliceBytes}

// FurtherSlices says of the slices that are left out why, by the place in [MostOfName] of what would be exceeded.
func FurtherSlices(by int) string {
	if by == 3 {
		return fmt.Sprintf("more than %d MiB", MaxSliceBytes>>20)
	}
	return fmt.Sprintf("more than %d slices, %d endpoints or %d ports", MaxSlices, MaxEndpoints, MaxSlicePorts)
}

// Slice returns what is read of an EndpointSlice that may be exported; nil for nil. The nodes of endpoints are read only where the
// cluster imports, too (SPEC S2).
func Slice(s *discoveryv1.EndpointSlice, nodes bool) *discoveryv1.EndpointSlice {
	if s == nil {
		return nil
	}
	kept := &discoveryv1.EndpointSlice{
		ObjectMeta:  identity(&s.ObjectMeta, discoveryv1.LabelServiceName, mcsapi.LabelSourceCluster),
		AddressType: addressType(s),
	}
	if kept.AddressType == "" { // whatever its endpoints are, nobody can reach them
		return kept
	}
	if len(s.Endpoints) > 0 {
		kept.Endpoints = make([]discoveryv1.Endpoint, len(s.Endpoints))
	}
	for i := range s.Endpoints {
		from, to := &s.Endpoints[i], &kept.Endpoints[i]
		to.Addresses, to.Conditions, to.Hostname, to.Zone = from.Addresses, from.Conditions, from.Hostname, from.Zone
		if nodes {
			to.NodeName = from.NodeName
		}
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		kept.Ports = append(kept.Ports, discoveryv1.EndpointPort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
	}
	return kept
}

// addressType returns that of a slice, or "" for one that no API server has: it may be as long as an answer.
func addressType(s *discoveryv1.EndpointSlice) discoveryv1.AddressType {
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
		return s.AddressType
	}
	return ""
}

// Weigh returns what a slice counts for: itself, its endpoints, its ports, and about the bytes of memory that it takes. An endpoint with
// several addresses counts for each: DNS answers them all.
func Weigh(s *discoveryv1.EndpointSlice) [4]int32 {
	const (
		object, endpoint, port, text = 512, 128, 56, 16
	)
	bytes, endpoints := object, 0
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		bytes, endpoints = bytes+endpoint, endpoints+max(1, len(e.Addresses))
		for _, a := range e.Addresses {
			bytes += text + len(a)
		}
		for _, t := range []*string{e.Hostname, e.Zone, e.NodeName} {
			if t != nil {
				bytes += text + len(*t)
			}
		}
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		bytes += port
		if p.Name != nil {
			bytes += len(*p.Name)
		}
		if p.Protocol != nil {
			bytes += len(*p.Protocol)
		}
	}
	return [4]int32{1, int32(endpoints), int32(len(s.Ports)), int32(bytes)}
}
