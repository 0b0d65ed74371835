package hostile

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Services are rows about fields of Services.
var Services = map[string]Row{
	"service-metadata": {Field: "Service metadata", Endpoints: one, Service: func(s *corev1.Service) {
		s.Labels = map[string]string{Marker: Marker}
		s.Annotations = map[string]string{"service.kubernetes.io/topology-mode": Marker, Marker: long[:100<<10]}
	}},
	"service-status": {Field: "Service status", Endpoints: one, Service: func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.97.0.1", Hostname: Marker}}
	}},
	"type-node-port": {Field: "Service spec.type", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) {
		s.Type, s.Ports[0].NodePort = corev1.ServiceTypeNodePort, 31234
		s.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	})},
	"type-load-balancer": {Field: "Service spec.loadBalancerSourceRanges", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) {
		s.Type = corev1.ServiceTypeLoadBalancer
		s.LoadBalancerIP, s.LoadBalancerSourceRanges = "192.0.2.1", []string{"10.0.0.0/8"}
		s.LoadBalancerClass = ptr("example.org/" + Marker)
		s.AllocateLoadBalancerNodePorts = ptr(false)
		s.ExternalTrafficPolicy, s.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 31235
	})},
	"external-ips":  {Field: "Service spec.externalIPs", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{"192.0.2.1"} })},
	"external-name": {Field: "Service spec.externalName", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.ExternalName = Marker })},
	"selector":      {Field: "Service spec.selector", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.Selector = map[string]string{"app": Marker} })},
	"not-ready":     {Field: "Service spec.publishNotReadyAddresses", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.PublishNotReadyAddresses = true })},
	"cluster-ip":    {Field: "Service spec.clusterIP", Endpoints: one, Home: true, Service: spec(func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = Marker, []string{Marker} })},
	"headless":      {Field: "Service spec.clusterIP", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.ClusterIP = corev1.ClusterIPNone })},
	"families":      {Field: "Service spec.ipFamilies[]", Home: true, Endpoints: one, Refused: "ipFamilies IPv9 (neither IPv4 nor IPv6)", Service: spec(func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv9", "IPv4", "IPv4"} })},
	"families-many": {Field: "Service spec.ipFamilies[]", Home: true, Endpoints: one, Refused: "ipFamilies (more than there are)", Service: spec(func(s *corev1.ServiceSpec) { s.IPFamilies = make([]corev1.IPFamily, 100); s.IPFamilies[0] = "IPv4" })},
	"family-policy": {Field: "Service spec.ipFamilyPolicy", Home: true, Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = ptr(corev1.IPFamilyPolicy(Marker)) })},
	"traffic-policy": {Field: "Service spec.internalTrafficPolicy", Home: true, Endpoints: one, Refused: "internalTrafficPolicy Nowhere (neither Cluster nor Local)", Service: spec(func(s *corev1.ServiceSpec) {
		s.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicy("Nowhere"))
	})},
	"traffic-local":   {Field: "Service spec.internalTrafficPolicy", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal) })},
	"external-policy": {Field: "Service spec.externalTrafficPolicy", Home: true, Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) { s.ExternalTrafficPolicy = Marker })},

	"distribution-odd":     {Field: "Service spec.trafficDistribution", Home: true, Endpoints: one, Refused: `trafficDistribution a�b (no word of at most 63 letters and digits)`, Service: distribution("a\x00b")},
	"distribution-long":    {Field: "Service spec.trafficDistribution", Home: true, Endpoints: one, Refused: "(no word of at most 63 letters and digits)", Service: distribution(long)},
	"distribution-unknown": {Field: "Service spec.trafficDistribution", Home: true, Endpoints: one, Service: distribution("PreferSamePlanet")},
	"distribution-node":    {Field: "Service spec.trafficDistribution", Endpoints: one, Service: distribution("PreferSameNode")},

	"affinity":          {Field: "Service spec.sessionAffinity", Home: true, Endpoints: one, Refused: "sessionAffinity Sometimes (neither None nor ClientIP)", Service: spec(func(s *corev1.ServiceSpec) { s.SessionAffinity = "Sometimes" })},
	"affinity-zero":     {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Home: true, Endpoints: one, Refused: "sessionAffinityConfig of 0 s (not between a second and a day)", Service: affinity(0)},
	"affinity-negative": {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Home: true, Endpoints: one, Refused: "sessionAffinityConfig of -1 s (not between a second and a day)", Service: affinity(-1)},
	"affinity-86401":    {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Home: true, Endpoints: one, Refused: "sessionAffinityConfig of 86401 s (not between a second and a day)", Service: affinity(86401)},
	"affinity-day":      {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Endpoints: one, Service: affinity(86400)},
	"affinity-second":   {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Endpoints: one, Service: affinity(1)},
	"affinity-nothing": {Field: "Service spec.sessionAffinityConfig.clientIP.timeoutSeconds", Endpoints: one, Service: spec(func(s *corev1.ServiceSpec) {
		s.SessionAffinity, s.SessionAffinityConfig = corev1.ServiceAffinityClientIP, &corev1.SessionAffinityConfig{}
	})},

	"service-port-name":      {Field: "Service spec.ports[].name", Home: true, Invalid: true, Refused: `port name "a"; drop�" is not a DNS label`, Service: servicePort(func(p *corev1.ServicePort) { p.Name = "a\"; drop\xff" })},
	"service-port-name-long": {Field: "Service spec.ports[].name", Home: true, Invalid: true, Refused: "is not a DNS label", Service: servicePort(func(p *corev1.ServicePort) { p.Name = long })},
	"service-port-name-63":   rowOf(Row{Field: "Service spec.ports[].name", Endpoints: one}, Name63),
	"service-port-name-128": {Field: "Service spec.ports[].name", Name: name58, Refused: "(longer than kube-proxy can handle together with namespace and Service, 128 bytes in all)",
		Service: servicePort(func(p *corev1.ServicePort) { p.Name = Name63 })},
	"service-port-zero":     {Field: "Service spec.ports[].port", Home: true, Invalid: true, Refused: "port 0 is not between 1 and 65535", Service: servicePort(func(p *corev1.ServicePort) { p.Port = 0 })},
	"service-port-70000":    {Field: "Service spec.ports[].port", Home: true, Invalid: true, Refused: "port 70000 is not between 1 and 65535", Service: servicePort(func(p *corev1.ServicePort) { p.Port = 70000 })},
	"service-port-negative": {Field: "Service spec.ports[].port", Home: true, Invalid: true, Refused: "port -1 is not between 1 and 65535", Service: servicePort(func(p *corev1.ServicePort) { p.Port = -1 })},
	"service-port-65535":    {Field: "Service spec.ports[].port", Endpoints: one, Service: servicePort(func(p *corev1.ServicePort) { p.Port = 65535 })},
	"service-protocol":      {Field: "Service spec.ports[].protocol", Home: true, Invalid: true, Refused: `protocol "FOO" is none of TCP, UDP, SCTP`, Service: servicePort(func(p *corev1.ServicePort) { p.Protocol = "FOO" })},
	"service-udp":           rowOfProtocol(corev1.ProtocolUDP),
	"service-sctp":          rowOfProtocol(corev1.ProtocolSCTP),
	"app-protocol":          {Field: "Service spec.ports[].appProtocol", Home: true, Invalid: true, Refused: `appProtocol "a b" is not a qualified name`, Service: servicePort(func(p *corev1.ServicePort) { p.AppProtocol = ptr("a b") })},
	"app-protocol-long": {Field: "Service spec.ports[].appProtocol", Endpoints: one,
		Service: servicePort(func(p *corev1.ServicePort) { p.AppProtocol = ptr(strings.Repeat("a.", 126) + "a/" + Name63) })},
	"target-port": {Field: "Service spec.ports[].targetPort", Endpoints: one, Service: servicePort(func(p *corev1.ServicePort) { p.TargetPort = intstr.FromString(Marker[:14]) })},
	"ports-1000":  rowOfPorts(),
}

func rowOf(r Row, portName string) Row {
	service, slice := named(portName)
	return with(r, service, slice)
}

func rowOfProtocol(p corev1.Protocol) Row {
	service, slice := protocols(p)
	return with(Row{Field: "Service spec.ports[].protocol", Endpoints: one}, service, slice)
}

func rowOfPorts() Row {
	service, slice := ports(1000)
	return with(Row{Field: "Service", Endpoints: one}, service, slice)
}
