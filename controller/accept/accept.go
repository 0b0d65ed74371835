// Package accept decides which fields of another cluster's Services and EndpointSlices are copied into this cluster.
//
// That an API server stores an object says little: it stores port 70000 of an EndpointSlice, for which all rules of kube-proxy
// in the importing cluster are refused, and the API server of a hostile cluster stores anything (SPEC X2, X6). So a copy
// starts out empty and is filled by the rules of a table, one rule per field. A field without a rule is never copied, and each
// rule names the readers of the field that it was made for.
//
// The package knows nothing of merging or of what an importing cluster holds. Which addresses may be used depends on the
// importing cluster, so the caller decides that.
package accept

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/excerpt"
)

// rule decides about one field of T.
type rule[T any] struct {
	// field is its path below T as the API spells it, with [] for the elements of a list.
	field string
	// readers says what kube-proxy, CoreDNS, gateways and the API server do with the field, for which the rule is made. A
	// rule that accepts every value, or none, says why.
	readers string
	// take copies the field where it is acceptable and reports it otherwise. It returns false if nothing of T is of use
	// without the field. A rule without take is for a field that is never copied.
	take func(j *Judge, to, from *T) bool
}

// Judge applies the rules to the objects of one cluster.
type Judge struct {
	// Addresses returns those of an endpoint's addresses to which traffic may go, and reports the others itself.
	Addresses func(addresses []string) []string
	// Own says that the objects are those of the importing cluster itself.
	Own bool
	// Refused is called for each part that is left out, with what it is and why.
	Refused func(what, why string)

	zones, hostnames last
}

// Endpoint fills to, which is empty, with what is acceptable of from. It returns false if that is of no use.
func (j *Judge) Endpoint(to, from *discoveryv1.Endpoint) bool {
	return apply(endpointRules, j, to, from)
}

// EndpointPort fills to, which is empty, with what is acceptable of from. It returns false if that is of no use. The name
// is the source's own, never nil.
func (j *Judge) EndpointPort(to, from *discoveryv1.EndpointPort) bool {
	return apply(endpointPortRules, j, to, from)
}

// Service returns what is acceptable of s but for its ports.
func (j *Judge) Service(s *corev1.Service) *corev1.Service {
	to := new(corev1.Service)
	apply(serviceRules, j, to, s)
	return to
}

// ServicePort fills to, which is empty, with what is acceptable of from. It returns false if that is of no use.
func (j *Judge) ServicePort(to, from *corev1.ServicePort) bool {
	return apply(servicePortRules, j, to, from)
}

func apply[T any](rules []rule[T], j *Judge, to, from *T) bool {
	for i := range rules {
		if take := rules[i].take; take != nil && !take(j, to, from) {
			return false
		}
	}
	return true
}

// refuse reports a part that is left out.
func (j *Judge) refuse(what, why string) {
	if j.Refused != nil {
		j.Refused(what, excerpt.Of(why, maxWhy))
	}
}

// maxWhy is the length of a reason, which may hold what a member wrote.
const maxWhy = 200

// quote is an excerpt of what would be unreadable without quotation marks.
func quote(text string) string { return `"` + excerpt.Of(text, 63) + `"` }

// MaxSliceBytes is how large an EndpointSlice may be, as protocol buffers, which is how API servers store it: etcd refuses a
// request of more than 1.5 MiB, and what the API server adds (managed fields, the key) is part of that.
const MaxSliceBytes = 1 << 20

// TooLarge says whether an importing cluster can't be expected to store s.
func TooLarge(s *discoveryv1.EndpointSlice) bool { return s.Size() > MaxSliceBytes }

// maxComment is how long kube-proxy's name of a port of a Service may be: the comment of an nftables element (NFTNL_UDATA).
const maxComment = 128

// ServicePortName says why no Service here may have a port of that name, or "". In nftables mode kube-proxy attaches
// "namespace/service:port" as a comment to each port of a Service without endpoints. Before 1.37 it does not shorten it, and
// nft refuses all rules for one comment that is too long (kubernetes/kubernetes#139515). The exporting cluster chooses two of
// the three names.
func ServicePortName(namespace, service, port string) string {
	if len(namespace)+len("/")+len(service)+len(":")+len(port) <= maxComment {
		return ""
	}
	return "longer than kube-proxy can handle together with namespace and Service, " + strconv.Itoa(maxComment) + " bytes in all"
}

// MaxServicePorts is how many ports a Service may have that is exported, or made here from several exports. With the bounds
// of their fields this also bounds the size of the Service and the import, far below what etcd takes.
const MaxServicePorts = keep.MaxPorts

// last remembers the last text that was accepted, because neighbouring endpoints have the same zone.
type last struct{ text string }

func (l *last) accepts(text string, valid func(string) bool) bool {
	if text == l.text && text != "" {
		return true
	}
	if !valid(text) {
		return false
	}
	l.text = text
	return true
}

var protocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

const (
	notProtocol = "none of TCP, UDP, SCTP"
	notPort     = "not between 1 and 65535"
)

func isPort(n int32) bool { return n >= 1 && n <= 65535 }
