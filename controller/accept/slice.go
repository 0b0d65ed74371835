package accept

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// sliceRules cover an EndpointSlice except for its endpoints and ports. The copy gets a name, labels and an owner of its own,
// so none of these rules copies anything. The caller decides which slices are copied.
var sliceRules = []rule[discoveryv1.EndpointSlice]{
	{field: "metadata", readers: "The copy's name is made of a hash of the source's, so no text of it arrives. Labels decide " +
		"what kube-proxy, gateways and meshes take the slice for, annotations steer controllers: the copy gets its own, and " +
		"no owner, finalizer or managed field means anything in another cluster."},
	{field: "addressType", readers: "IPv4 and IPv6 where the import has the family. kube-proxy, CoreDNS and gateways ignore " +
		"FQDN, and a name could point anywhere; others are unknown to all of them."},
}

var endpointRules = []rule[discoveryv1.Endpoint]{
	{field: "addresses[]", readers: "kube-proxy writes the first address of an endpoint into its rules, in canonical text. Text that is " +
		"no address becomes \"<nil>\" and an IPv4-mapped address becomes IPv4 among IPv6, for which all rules are refused. CoreDNS " +
		"answers with each address. Which addresses may be reached depends on the importing cluster. API servers take 100 " +
		"per endpoint, and older ones also text that is not canonical.",
		take: func(j *Judge, to, from *discoveryv1.Endpoint) bool {
			to.Addresses = canonical(j.Addresses(from.Addresses))
			return len(to.Addresses) > 0
		}},
	{field: "conditions.ready", readers: "Any value: kube-proxy, CoreDNS, Envoy Gateway, Istio and ingress-nginx read null as true.",
		take: func(_ *Judge, to, from *discoveryv1.Endpoint) bool {
			to.Conditions.Ready = from.Conditions.Ready
			return true
		}},
	{field: "conditions.serving", readers: "Any value: kube-proxy reads null as true, and uses it only together with terminating.",
		take: func(_ *Judge, to, from *discoveryv1.Endpoint) bool {
			to.Conditions.Serving = from.Conditions.Serving
			return true
		}},
	{field: "conditions.terminating", readers: "Any value, in any combination: kube-proxy reads null as false.",
		take: func(_ *Judge, to, from *discoveryv1.Endpoint) bool {
			to.Conditions.Terminating = from.Conditions.Terminating
			return true
		}},
	{field: "hostname", readers: "CoreDNS makes a DNS label of it; API servers refuse the whole slice for one that is none.",
		take: func(j *Judge, to, from *discoveryv1.Endpoint) bool {
			switch {
			case from.Hostname == nil:
			case j.hostnames.accepts(*from.Hostname, mcsapi.IsLabel):
				to.Hostname = from.Hostname
			default:
				j.refuse("hostname "+*from.Hostname, "no DNS label")
			}
			return true
		}},
	{field: "zone", readers: "kube-proxy does not read it, but it becomes a hint, of which API servers demand a label's value; " +
		"Istio, Cilium and Envoy Gateway make a locality of it. API servers take a zone of any length.",
		take: func(j *Judge, to, from *discoveryv1.Endpoint) bool {
			switch {
			case from.Zone == nil:
			case j.zones.accepts(*from.Zone, isLabelValue):
				to.Zone = from.Zone
			default:
				j.refuse("zone "+*from.Zone, "not a label's value")
			}
			return true
		}},
	{field: "nodeName", readers: "kube-proxy compares it with its node's for internalTrafficPolicy Local, and another cluster may " +
		"have a node of the same name, so only the importing cluster's own endpoints keep it. API servers demand a DNS name.",
		take: func(j *Judge, to, from *discoveryv1.Endpoint) bool {
			switch {
			case !j.Own || from.NodeName == nil:
			case len(validation.IsDNS1123Subdomain(*from.NodeName)) == 0:
				to.NodeName = from.NodeName
			default:
				j.refuse("node "+*from.NodeName, "no DNS name")
			}
			return true
		}},
	{field: "targetRef", readers: "Never: readers look the object up in their own cluster, where it is another one or does not exist."},
	{field: "deprecatedTopology", readers: "Never: no reader of discovery.k8s.io/v1 uses it."},
	{field: "hints", readers: "Never: the exporting cluster's controller made them for its own nodes. kube-proxy uses them only " +
		"where each endpoint has one, so they are made here from zones."},
}

var endpointPortRules = []rule[discoveryv1.EndpointPort]{
	{field: "name", readers: "Only looked up: the copy gets the name of the port of the Service here, which is a DNS label or " +
		"empty. kube-proxy ignores a port whose name is null, so null becomes the empty name.",
		take: func(_ *Judge, to, from *discoveryv1.EndpointPort) bool {
			if to.Name = from.Name; to.Name == nil {
				to.Name = new(string)
			}
			return true
		}},
	{field: "protocol", readers: "kube-proxy dereferences it, and matches it with that of the Service's port; API servers refuse " +
		"the whole slice for another than these.",
		take: func(j *Judge, to, from *discoveryv1.EndpointPort) bool {
			if to.Protocol = from.Protocol; to.Protocol == nil || *to.Protocol == "" {
				tcp := corev1.ProtocolTCP
				to.Protocol = &tcp
			}
			if !slices.Contains(protocols, *to.Protocol) {
				j.refuse(portOf(to)+"protocol "+string(*to.Protocol), notProtocol)
				return false
			}
			return true
		}},
	{field: "port", readers: "API servers take any number. For one above 65535 or below 0, nft and iptables-restore refuse all of " +
		"kube-proxy's rules, at every attempt; in ipvs mode kube-proxy cuts it to 16 bits, which is another port. kube-proxy " +
		"and CoreDNS ignore null and 0.",
		take: func(j *Judge, to, from *discoveryv1.EndpointPort) bool {
			switch {
			case from.Port == nil:
				j.refuse(portOf(to)+"without a number", notPort)
			case !isPort(*from.Port):
				j.refuse(portOf(to)+"number "+strconv.Itoa(int(*from.Port)), notPort)
			default:
				to.Port = from.Port
				return true
			}
			return false
		}},
	{field: "appProtocol", readers: "Never: that of the Service's port is used, so that a port has one for all clusters."},
}

// portOf begins what is said of a port.
func portOf(p *discoveryv1.EndpointPort) string {
	if *p.Name == "" {
		return "port "
	}
	return "port " + *p.Name + " "
}
