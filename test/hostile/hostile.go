// Package hostile is a table of what a hostile cluster may put into the fields of its Services and EndpointSlices, and of
// what is odd, but good. Unit tests apply it to the rules of package accept and to plans, integration tests to real API
// servers and kube-proxies.
package hostile

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Row is one such thing. It changes an ordinary Service and its slice: one port, http 80/TCP to 8080, and one ready endpoint
// [Address]; [Address6] in a row with IPv6.
type Row struct {
	// Field is the path of the field, after the kind, as package accept has it.
	Field string
	// Name is that of the Service where the row needs a certain one.
	Name    string
	Service func(*corev1.Service)
	Slice   func(*discoveryv1.EndpointSlice)
	// Home says that the API server of an honest cluster of the present version refuses it, or changes it.
	Home bool

	// Refused is what the import says of it; "" if it has nothing to say, because all is imported that could be.
	Refused string
	// Invalid says that the whole export is invalid, because of Refused.
	Invalid bool
	// Endpoints are those that are imported.
	Endpoints []string
}

// Addresses of the ordinary endpoint.
const (
	Address  = "10.1.0.5"
	Address6 = "fd00:1::5"
)

// Marker stands in fields that are never taken: it must not be found in anything that is written.
const Marker = "hostile-marker"

// Name63 is a name that is as long as can be.
const Name63 = "m23456789012345678901234567890123456789012345678901234567890123"

const name58 = "s234567890123456789012345678901234567890123456789012345678"

var (
	one = []string{Address}
	six = []string{Address6}
)

// on6 makes the ordinary slice one of IPv6.
func on6(s *discoveryv1.EndpointSlice) {
	s.AddressType = discoveryv1.AddressTypeIPv6
	s.Endpoints[0].Addresses = []string{Address6}
}

func dual(s *corev1.Service) {
	policy := corev1.IPFamilyPolicyRequireDualStack
	s.Spec.IPFamilyPolicy = &policy
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
}

func addresses(list ...string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = list }
}

func addresses6(list ...string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { on6(s); s.Endpoints[0].Addresses = list }
}

func endpoint(change func(*discoveryv1.Endpoint)) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { change(&s.Endpoints[0]) }
}

func endpointPort(change func(*discoveryv1.EndpointPort)) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { change(&s.Ports[0]) }
}

func number(n int32) func(*discoveryv1.EndpointSlice) {
	return endpointPort(func(p *discoveryv1.EndpointPort) { p.Port = &n })
}

func slicePort(name string, p corev1.Protocol, n int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Protocol: &p, Port: &n}
}

func spec(change func(*corev1.ServiceSpec)) func(*corev1.Service) {
	return func(s *corev1.Service) { change(&s.Spec) }
}

func servicePort(change func(*corev1.ServicePort)) func(*corev1.Service) {
	return func(s *corev1.Service) { change(&s.Spec.Ports[0]) }
}

func affinity(seconds int32) func(*corev1.Service) {
	return spec(func(s *corev1.ServiceSpec) {
		s.SessionAffinity = corev1.ServiceAffinityClientIP
		s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
	})
}

func distribution(d string) func(*corev1.Service) {
	return spec(func(s *corev1.ServiceSpec) { s.TrafficDistribution = &d })
}

// protocols gives Service and slice one port of the name http in another protocol.
func protocols(p corev1.Protocol) (func(*corev1.Service), func(*discoveryv1.EndpointSlice)) {
	return servicePort(func(port *corev1.ServicePort) { port.Protocol = p }),
		endpointPort(func(port *discoveryv1.EndpointPort) { port.Protocol = &p })
}

// named gives Service and slice a port of another name.
func named(name string) (func(*corev1.Service), func(*discoveryv1.EndpointSlice)) {
	return servicePort(func(port *corev1.ServicePort) { port.Name = name }),
		endpointPort(func(port *discoveryv1.EndpointPort) { port.Name = &name })
}

// with completes a row by the functions that change Service and slice.
func with(r Row, service func(*corev1.Service), slice func(*discoveryv1.EndpointSlice)) Row {
	r.Service, r.Slice = service, slice
	return r
}

// many gives the slice n endpoints of so many addresses each.
func many(n, each int, format string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) {
		template := s.Endpoints[0]
		s.Endpoints = nil
		for i := range n {
			e := template
			e.Addresses = nil
			for j := range each {
				at := i*each + j + 10
				e.Addresses = append(e.Addresses, fmt.Sprintf(format, at>>8, at&0xff))
			}
			s.Endpoints = append(s.Endpoints, e)
		}
	}
}

func thousand() (list []string) {
	for i := range 1000 {
		list = append(list, fmt.Sprintf("10.1.%d.%d", (i+10)>>8, (i+10)&0xff))
	}
	return list
}

// ports gives Service and slice n ports.
func ports(n int32) (func(*corev1.Service), func(*discoveryv1.EndpointSlice)) {
	return func(s *corev1.Service) {
			for i := range n - 1 {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: 1000 + i, Protocol: corev1.ProtocolTCP})
			}
		}, func(s *discoveryv1.EndpointSlice) {
			for i := range n - 1 {
				s.Ports = append(s.Ports, slicePort(fmt.Sprintf("p%d", i), corev1.ProtocolTCP, 1000+i))
			}
		}
}

var long = strings.Repeat("x", 300<<10)

func ptr[T any](v T) *T { return &v }
