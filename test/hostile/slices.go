package hostile

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

const (
	badPort  = " (not between 1 and 65535)"
	badProto = " (none of TCP, UDP, SCTP)"
	badZone  = " (not a label's value)"
)

// Slices are rows about fields of EndpointSlices.
var Slices = map[string]Row{
	"slice-metadata": {Field: "EndpointSlice metadata", Endpoints: one, Slice: func(s *discoveryv1.EndpointSlice) {
		s.Name = s.Name + "-" + Marker
		s.Labels[Marker], s.Labels["app"] = Marker, Marker
		s.Annotations = map[string]string{Marker: long[:100<<10], corev1.EndpointsLastChangeTriggerTime: Marker}
		s.Finalizers = []string{"example.org/" + Marker}
	}},
	"address-type-fqdn": {Field: "EndpointSlice addressType", Refused: "(of addressType FQDN)", Slice: func(s *discoveryv1.EndpointSlice) {
		s.AddressType = discoveryv1.AddressTypeFQDN
		s.Endpoints[0].Addresses = []string{"evil.example.org"}
	}},
	"address-type-unknown": {Field: "EndpointSlice addressType", Home: true, Refused: "(of an unknown addressType)", Slice: func(s *discoveryv1.EndpointSlice) {
		s.AddressType = "IPX"
	}},
	"size": {Field: "EndpointSlice", Service: dual, Refused: "(more than 1024 KiB)", Slice: func(s *discoveryv1.EndpointSlice) {
		on6(s)
		many(1000, 32, "fd00:1001:1111:1111:1111:1111:1%03x:1%03x")(s)
	}},
	"size-good": {Field: "EndpointSlice", Slice: many(1000, 1, "10.1.%d.%d"), Endpoints: thousand()},

	"address-none":    {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Slice: addresses()},
	"address-empty":   {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Slice: addresses(""), Refused: "(no IPv4 address)"},
	"address-zeros":   {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Slice: addresses("010.001.000.005"), Refused: "010.001.000.005 (no IPv4 address)"},
	"address-mapped":  {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Service: dual, Slice: addresses6("::ffff:10.1.0.5"), Refused: "(no IPv6 address)"},
	"address-upper":   {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Service: dual, Slice: addresses6("FD00:0001::0005"), Endpoints: six},
	"address-zone":    {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Service: dual, Slice: addresses6("fd00:1::5%eth0"), Refused: "(no IPv6 address)"},
	"address-some":    {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Slice: addresses("127.0.0.1", Address), Refused: "127.0.0.1 (loopback address)", Endpoints: one},
	"address-control": {Field: "EndpointSlice endpoints[].addresses[]", Home: true, Slice: addresses("10.1.0.5\n\xff"), Refused: `10.1.0.5 � (no IPv4 address)`},
	"address-twice": {Field: "EndpointSlice endpoints[].addresses[]", Endpoints: one, Slice: func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = append(s.Endpoints, s.Endpoints[0], discoveryv1.Endpoint{Addresses: []string{Address, Address}})
	}},

	"address-ipv6": {Field: "EndpointSlice endpoints[].addresses[]", Service: dual, Slice: on6, Endpoints: six},

	"conditions-none": {Field: "EndpointSlice endpoints[].conditions.ready", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.Conditions = discoveryv1.EndpointConditions{}
	})},
	"conditions-unready": {Field: "EndpointSlice endpoints[].conditions.serving", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(true), Terminating: ptr(true)}
	})},
	"conditions-contradict": {Field: "EndpointSlice endpoints[].conditions.terminating", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(true), Serving: ptr(false), Terminating: ptr(true)}
	})},
	"conditions-nothing-ready": {Field: "EndpointSlice endpoints[].conditions.ready", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.Conditions = discoveryv1.EndpointConditions{Ready: ptr(false), Serving: ptr(false), Terminating: ptr(false)}
	})},

	"hostname":      {Field: "EndpointSlice endpoints[].hostname", Home: true, Endpoints: one, Refused: "hostname Not A Label (no DNS label)", Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Hostname = ptr("Not A Label") })},
	"hostname-long": {Field: "EndpointSlice endpoints[].hostname", Home: true, Endpoints: one, Refused: "(no DNS label)", Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Hostname = &long })},
	"hostname-good": {Field: "EndpointSlice endpoints[].hostname", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Hostname = ptr(Name63) })},

	"zone-spaces": {Field: "EndpointSlice endpoints[].zone", Endpoints: one, Refused: `zone a "b"; drop` + badZone, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Zone = ptr(`a "b"; drop`) })},
	"zone-bytes":  {Field: "EndpointSlice endpoints[].zone", Endpoints: one, Refused: `zone ��` + badZone, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Zone = ptr("\xff\u202e") })},
	"zone-64":     {Field: "EndpointSlice endpoints[].zone", Endpoints: one, Refused: badZone, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Zone = ptr(Name63 + "4") })},
	"zone-long":   {Field: "EndpointSlice endpoints[].zone", Endpoints: one, Refused: badZone, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Zone = &long })},
	"zone-hinted": {Field: "EndpointSlice endpoints[].zone", Endpoints: one, Service: distribution("PreferClose"), Slice: endpoint(func(e *discoveryv1.Endpoint) { e.Zone = ptr("eu.West_1-A") })},

	"node-odd": {Field: "EndpointSlice endpoints[].nodeName", Home: true, Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.NodeName = ptr("Not a node " + Marker) })},
	"node":     {Field: "EndpointSlice endpoints[].nodeName", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) { e.NodeName = ptr("c-" + Marker) })},
	"target": {Field: "EndpointSlice endpoints[].targetRef", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.TargetRef = &corev1.ObjectReference{Kind: Marker, Namespace: Marker, Name: Marker, UID: Marker, APIVersion: Marker, FieldPath: Marker}
	})},
	"topology": {Field: "EndpointSlice endpoints[].deprecatedTopology", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.DeprecatedTopology = map[string]string{"kubernetes.io/hostname": Marker}
	})},
	"hints": {Field: "EndpointSlice endpoints[].hints", Endpoints: one, Slice: endpoint(func(e *discoveryv1.Endpoint) {
		e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: Marker}}, ForNodes: []discoveryv1.ForNode{{Name: Marker}}}
	})},

	"port-unknown": {Field: "EndpointSlice ports[].name", Endpoints: one, Slice: func(s *discoveryv1.EndpointSlice) {
		s.Ports = append(s.Ports, slicePort(Marker, corev1.ProtocolTCP, 70000))
	}},
	"port-odd": {Field: "EndpointSlice ports[].name", Home: true, Endpoints: one, Slice: func(s *discoveryv1.EndpointSlice) {
		s.Ports = append(s.Ports, slicePort(`"; `+Marker, corev1.ProtocolTCP, 80))
	}},
	"port-unnamed": {Field: "EndpointSlice ports[].name", Home: true, Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Name = nil })},
	"port-twice": {Field: "EndpointSlice ports[].name", Home: true, Endpoints: one, Slice: func(s *discoveryv1.EndpointSlice) {
		s.Ports = append(s.Ports, slicePort("http", corev1.ProtocolTCP, 81), slicePort("http", corev1.ProtocolUDP, 81))
	}},
	"protocol-unknown": {Field: "EndpointSlice ports[].protocol", Home: true, Refused: "port http protocol FOO" + badProto,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Protocol = ptr(corev1.Protocol("FOO")) })},
	"protocol-long": {Field: "EndpointSlice ports[].protocol", Home: true, Refused: badProto,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Protocol = ptr(corev1.Protocol(long)) })},
	"protocol-empty": {Field: "EndpointSlice ports[].protocol", Home: true, Endpoints: one,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Protocol = ptr(corev1.Protocol("")) })},
	"protocol-other": {Field: "EndpointSlice ports[].protocol", Endpoints: one,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Protocol = ptr(corev1.ProtocolUDP) })},
	"port-none": {Field: "EndpointSlice ports[].port", Refused: "port http without a number" + badPort,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.Port = nil })},
	"port-zero":     {Field: "EndpointSlice ports[].port", Refused: "port http number 0" + badPort, Slice: number(0)},
	"port-negative": {Field: "EndpointSlice ports[].port", Refused: "port http number -1" + badPort, Slice: number(-1)},
	"port-65536":    {Field: "EndpointSlice ports[].port", Refused: "port http number 65536" + badPort, Slice: number(65536)},
	"port-70000":    {Field: "EndpointSlice ports[].port", Refused: "port http number 70000" + badPort, Slice: number(70000)},
	"port-greatest": {Field: "EndpointSlice ports[].port", Refused: "port http number 2147483647" + badPort, Slice: number(1<<31 - 1)},
	"port-65535":    {Field: "EndpointSlice ports[].port", Slice: number(65535), Endpoints: one},
	"port-one":      {Field: "EndpointSlice ports[].port", Slice: number(1), Endpoints: one},
	"port-two-70000": with(Row{Field: "EndpointSlice ports[].port", Refused: "port p0 number 70000" + badPort, Endpoints: one}, first(ports(2)), func(s *discoveryv1.EndpointSlice) {
		s.Ports = append(s.Ports, slicePort("p0", corev1.ProtocolTCP, 70000))
	}),
	"app-protocol-of-slice": {Field: "EndpointSlice ports[].appProtocol", Endpoints: one,
		Slice: endpointPort(func(p *discoveryv1.EndpointPort) { p.AppProtocol = ptr("example.org/" + Marker) })},
}

func first[A, B any](a A, _ B) A { return a }
