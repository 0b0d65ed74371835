package decode

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unique"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/view"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

const (
	maxLabel = 63 // octets of a DNS label (RFC 1035 section 2.3.4)
	maxPort  = 1<<16 - 1
)

// Oddities collects what is wrong with an object: it is left out, the rest of the object serves.
type Oddities []string

// Add notes one thing that is wrong.
func (o *Oddities) Add(format string, args ...any) { *o = append(*o, fmt.Sprintf(format, args...)) }

// maxTold is how much of what is wrong with one object is told: it may be as much as fits into an object.
const maxTold = 10

// String returns the first ten of them, and how many more there are.
func (o Oddities) String() string {
	if more := len(o) - maxTold; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(o[:maxTold], "; "), more)
	}
	return strings.Join(o, "; ")
}

// Import takes from a ServiceImport what DNS needs. It returns nil where the whole object has to be ignored.
func Import(si *mcs.ServiceImport) (*view.Import, Oddities) {
	var odd Oddities
	if !mcsapi.IsLabel(si.Name) {
		odd.Add("ignored: its name is no DNS label")
		return nil, odd
	}
	imp := &view.Import{Headless: si.Spec.Type == mcs.Headless}
	if imp.Headless {
		return imp, nil // its addresses and ports are those of its slices
	}
	for _, ip := range si.Spec.IPs {
		addr, err := parseAddr(ip)
		if err != nil {
			odd.Add("spec.ips: %q is not an IP address", ip)
			continue
		}
		imp.IPs = append(imp.IPs, addr)
	}
	for i := range si.Spec.Ports {
		p := &si.Spec.Ports[i]
		imp.Ports = appendPort(imp.Ports, p.Name, p.Protocol, p.Port, &odd)
	}
	slices.SortFunc(imp.IPs, netip.Addr.Compare) // their order shows in no answer, nor does that of ports
	imp.IPs, imp.Ports = slices.Compact(imp.IPs), distinct(imp.Ports)
	return imp, odd
}

// Slice takes from an EndpointSlice what DNS needs, under a name, and the name of the service that it belongs to. It
// returns nil where the whole object has to be ignored.
func Slice(name string, es *discoveryv1.EndpointSlice) (service string, slice *view.Slice, odd Oddities) {
	service, ok := mcsapi.ServiceOf(es.Labels)
	if !ok {
		return "", nil, nil // it is our controller's, for something other than a multi-cluster service
	}
	if !mcsapi.IsLabel(service) {
		odd.Add("ignored: label %s is %q, which is no DNS label", mcsapi.LabelServiceName, service)
		return "", nil, odd
	}
	if es.AddressType != discoveryv1.AddressTypeIPv4 && es.AddressType != discoveryv1.AddressTypeIPv6 {
		odd.Add("ignored: its addressType is %s", es.AddressType)
		return "", nil, odd
	}
	cluster := clusterOf(es, &odd)
	var ports []view.Port
	for _, p := range es.Ports {
		ports = appendSlicePort(ports, p, &odd)
	}
	endpoints := readyEndpoints(es, &odd)
	return service, view.NewSlice(name, cluster, rankOf(es, &odd), distinct(ports), endpoints), odd
}

// clusterOf returns the cluster that a slice comes from, or "": its endpoints have no names of their own then.
func clusterOf(es *discoveryv1.EndpointSlice, odd *Oddities) string {
	cluster := strings.ToLower(es.Labels[mcsapi.LabelSourceCluster])
	if cluster == "" {
		odd.Add("it has no label %s: its endpoints get no names", mcsapi.LabelSourceCluster)
		return ""
	}
	if slices.Contains(strings.Split(cluster, "."), "") {
		odd.Add("label %s is %q, which is no DNS name: its endpoints get no names", mcsapi.LabelSourceCluster, cluster)
		return ""
	}
	return intern(cluster)
}

// rankOf returns where the cluster of a slice stands in the order of preference (SPEC P3).
func rankOf(es *discoveryv1.EndpointSlice, odd *Oddities) int {
	text, ok := es.Annotations[mcsapi.AnnotationRank]
	if !ok {
		return 0
	}
	rank, err := strconv.Atoi(text)
	if err != nil || rank < 0 {
		odd.Add("annotation %s is %q, which is no rank: taken for 0", mcsapi.AnnotationRank, text)
		return 0
	}
	return rank
}

func appendSlicePort(ports []view.Port, p discoveryv1.EndpointPort, odd *Oddities) []view.Port {
	if p.Name == nil || *p.Name == "" {
		return ports // unnamed ports have no SRV records
	}
	if p.Port == nil {
		odd.Add("port %q has no number", *p.Name)
		return ports
	}
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = *p.Protocol
	}
	return appendPort(ports, *p.Name, protocol, *p.Port, odd)
}

func appendPort(ports []view.Port, name string, protocol corev1.Protocol, number int32, odd *Oddities) []view.Port {
	if name == "" {
		return ports // unnamed ports have no SRV records
	}
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	name, proto := strings.ToLower(name), strings.ToLower(string(protocol))
	switch {
	case !mcsapi.IsLabel(name) || len(name) >= maxLabel:
		odd.Add("port %q: its name makes no DNS label", name)
	case !mcsapi.IsLabel(proto) || len(proto) >= maxLabel:
		odd.Add("port %q: its protocol %q makes no DNS label", name, protocol)
	case number <= 0 || number > maxPort:
		odd.Add("port %q: %d is no port number", name, number)
	default:
		ports = append(ports, view.Port{Name: intern(name), Protocol: intern(proto), Number: uint16(number)})
	}
	return ports
}

// distinct sorts ports and leaves each once.
func distinct(ports []view.Port) []view.Port {
	slices.SortFunc(ports, view.Port.Compare)
	return slices.Clip(slices.Compact(ports))
}

func readyEndpoints(es *discoveryv1.EndpointSlice, odd *Oddities) []view.Endpoint {
	endpoints := make([]view.Endpoint, 0, len(es.Endpoints))
	for i := range es.Endpoints {
		e := &es.Endpoints[i]
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue // nil means ready
		}
		host := ""
		if e.Hostname != nil {
			host = strings.ToLower(strings.Clone(*e.Hostname)) // of the text of the whole slice (slice.go)
			if host != "" && !mcsapi.IsLabel(host) {
				odd.Add("hostname %q is no DNS label", host)
				host = ""
			}
		}
		for _, text := range e.Addresses {
			addr, err := parseAddr(text)
			if err != nil || addr.Is4() != (es.AddressType == discoveryv1.AddressTypeIPv4) {
				odd.Add("%q is not an %s address", text, es.AddressType)
				continue
			}
			endpoints = append(endpoints, view.Endpoint{Addr: addr, Hostname: host})
		}
	}
	return endpoints
}

// parseAddr parses an IP address without a zone. An IPv4 address that is mapped into IPv6 is an IPv4 address.
func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err == nil && addr.Zone() != "" {
		err = fmt.Errorf("%s has a zone", text)
	}
	return addr.Unmap(), err
}

// intern returns one and the same string for all equal ones.
func intern(s string) string { return unique.Make(s).Value() }
