package accept

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// servicePortRules are those of spec.ports[] of an exported Service. A port with one unacceptable field is not exported, and
// package merge then refuses the whole export: its other ports would otherwise seem to be all that it has.
var servicePortRules = []rule[corev1.ServicePort]{
	{field: "name", readers: "It stands in names of chains and comments of kube-proxy's rules, in CoreDNS's SRV names, and API " +
		"servers refuse the whole Service for one that is no DNS label. See ServicePortName for its length.",
		take: func(j *Judge, to, from *corev1.ServicePort) bool {
			if from.Name != "" && !mcsapi.IsLabel(from.Name) {
				j.refuse("port name "+quote(from.Name), "not a DNS label")
				return false
			}
			to.Name = from.Name
			return true
		}},
	{field: "protocol", readers: "kube-proxy writes it into its rules in lower case; API servers refuse the whole Service for " +
		"another than these, and take none for TCP.",
		take: func(j *Judge, to, from *corev1.ServicePort) bool {
			if to.Protocol = from.Protocol; to.Protocol == "" {
				to.Protocol = corev1.ProtocolTCP
			}
			if !slices.Contains(protocols, to.Protocol) {
				j.refuse("protocol "+quote(string(from.Protocol)), notProtocol)
				return false
			}
			return true
		}},
	{field: "port", readers: "kube-proxy writes it into its rules, CoreDNS into SRV records, of 16 bits both.",
		take: func(j *Judge, to, from *corev1.ServicePort) bool {
			if !isPort(from.Port) {
				j.refuse("port "+strconv.Itoa(int(from.Port)), notPort)
			}
			to.Port = from.Port
			return isPort(from.Port)
		}},
	{field: "appProtocol", readers: "kube-proxy and CoreDNS do not read it; Istio, Envoy Gateway and Cilium compare it with the " +
		"names that they know. API servers refuse the whole Service for one that is no qualified name.",
		take: func(j *Judge, to, from *corev1.ServicePort) bool {
			switch {
			case from.AppProtocol == nil || *from.AppProtocol == "":
			case len(validation.IsQualifiedName(*from.AppProtocol)) != 0:
				j.refuse("appProtocol "+quote(*from.AppProtocol), "not a qualified name")
				return false
			default:
				to.AppProtocol = from.AppProtocol
			}
			return true
		}},
	{field: "targetPort", readers: "Never: the numbers of EndpointSlices count."},
	{field: "nodePort", readers: "Never: the Service made here is reached by its ClusterIP."},
}

// serviceRules cover an exported Service except for its ports.
var serviceRules = []rule[corev1.Service]{
	{field: "metadata", readers: "The name is that of the export, a DNS label or refused. Labels and annotations steer " +
		"controllers: those to be exported are named in the ServiceExport."},
	{field: "status", readers: "Never: addresses of load balancers and conditions are those of the exporting cluster."},
	{field: "spec.type", readers: "Only looked at: ExternalName, which has no endpoints, is not exported. The Service made here is " +
		"always of type ClusterIP.",
		take: func(_ *Judge, to, from *corev1.Service) bool {
			if from.Spec.Type == corev1.ServiceTypeExternalName {
				to.Spec.Type = corev1.ServiceTypeExternalName
			}
			return true
		}},
	{field: "spec.clusterIP", readers: "Only looked at: None makes the import headless, and where an old server lists no " +
		"families, a colon tells the family. The address means nothing in another cluster.",
		take: func(_ *Judge, to, from *corev1.Service) bool {
			to.Spec.ClusterIP = from.Spec.ClusterIP
			return true
		}},
	{field: "spec.sessionAffinity", readers: "kube-proxy reads what is not ClientIP as None; API servers refuse the whole Service " +
		"for another value.",
		take: func(j *Judge, to, from *corev1.Service) bool {
			switch a := from.Spec.SessionAffinity; a {
			case "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP:
				to.Spec.SessionAffinity = a
			default:
				j.refuse("sessionAffinity "+string(a), "neither None nor ClientIP")
			}
			return true
		}},
	{field: "spec.sessionAffinityConfig.clientIP.timeoutSeconds", readers: "kube-proxy dereferences it with ClientIP, and writes " +
		"it into its rules as the timeout of a set or the seconds of a match. API servers take a second to a day; the default " +
		"replaces any other value.",
		take: func(j *Judge, to, from *corev1.Service) bool {
			c := from.Spec.SessionAffinityConfig
			if c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
				return true
			}
			if !AffinityTimeout(*c.ClientIP.TimeoutSeconds) {
				j.refuse("sessionAffinityConfig of "+strconv.Itoa(int(*c.ClientIP.TimeoutSeconds))+" s", "not between a second and a day")
				return true
			}
			to.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: c.ClientIP.TimeoutSeconds}}
			return true
		}},
	{field: "spec.internalTrafficPolicy", readers: "kube-proxy reads what is not Local as Cluster; API servers refuse the whole " +
		"Service for another value.",
		take: func(j *Judge, to, from *corev1.Service) bool {
			switch p := from.Spec.InternalTrafficPolicy; {
			case p == nil:
			case TrafficPolicy(*p):
				to.Spec.InternalTrafficPolicy = p
			default:
				j.refuse("internalTrafficPolicy "+string(*p), "neither Cluster nor Local")
			}
			return true
		}},
	{field: "spec.trafficDistribution", readers: "kube-proxy does not read it; API servers refuse the whole Service for a value " +
		"that they don't know, which the caller leaves out. The import shows any, because a newer cluster may know more.",
		take: func(j *Judge, to, from *corev1.Service) bool {
			switch d := from.Spec.TrafficDistribution; {
			case d == nil:
			case isWord(*d):
				to.Spec.TrafficDistribution = d
			default:
				j.refuse("trafficDistribution "+*d, "no word of at most 63 letters and digits")
			}
			return true
		}},
	{field: "spec.ipFamilies[]", readers: "kube-proxy ignores a family that it does not have; API servers refuse the whole Service " +
		"for one that they don't know, or that is listed twice.",
		take: func(j *Judge, to, from *corev1.Service) bool {
			for i, f := range from.Spec.IPFamilies {
				if i == maxFamilies {
					j.refuse("ipFamilies", "more than there are")
					break
				}
				if Family(f) {
					to.Spec.IPFamilies = append(to.Spec.IPFamilies, f)
				} else {
					j.refuse("ipFamilies "+string(f), "neither IPv4 nor IPv6")
				}
			}
			return true
		}},
	{field: "spec.selector", readers: notHere},
	{field: "spec.clusterIPs", readers: notHere},
	{field: "spec.externalIPs", readers: "Never: kube-proxy would take over traffic for any address that is named."},
	{field: "spec.loadBalancerIP", readers: notHere},
	{field: "spec.loadBalancerSourceRanges", readers: notHere},
	{field: "spec.loadBalancerClass", readers: notHere},
	{field: "spec.externalName", readers: "Never: a name could point anywhere."},
	{field: "spec.externalTrafficPolicy", readers: notHere},
	{field: "spec.healthCheckNodePort", readers: notHere},
	{field: "spec.publishNotReadyAddresses", readers: "Never: the conditions of endpoints in EndpointSlices say the outcome."},
	{field: "spec.ipFamilyPolicy", readers: "Never: that of the Service made here follows from the families that both clusters have."},
	{field: "spec.allocateLoadBalancerNodePorts", readers: notHere},
}

const notHere = "Never: it means something in the exporting cluster only."

// maxFamilies bounds how many families of a Service are looked at; there are two.
const maxFamilies = 8

// AffinityTimeout says whether API servers take a timeout of session affinity: a second to a day.
func AffinityTimeout(seconds int32) bool { return seconds > 0 && seconds <= 86400 }

// TrafficPolicy says whether p is an internal traffic policy.
func TrafficPolicy(p corev1.ServiceInternalTrafficPolicy) bool {
	return p == corev1.ServiceInternalTrafficPolicyCluster || p == corev1.ServiceInternalTrafficPolicyLocal
}

// TrafficDistribution says whether d can be a traffic distribution, known or not.
func TrafficDistribution(d string) bool { return isWord(d) }

// Family says whether f is an IP family.
func Family(f corev1.IPFamily) bool { return f == corev1.IPv4Protocol || f == corev1.IPv6Protocol }
