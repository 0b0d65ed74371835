// Package merge decides what one multi-cluster service looks like when several clusters export the same namespaced name.
//
// It is KEP-1645 "Constraints and Conflict Resolution" in one place and nothing else: exports of one name go in, one
// [Service] comes out, with the conflicts to report on every constituent export and the ports that each cluster may be
// sent traffic for. It knows no client, context, clock or logger, and its result does not depend on the order of its input.
package merge

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Export is what one cluster offers under a name: the ServiceExport and the properties of its Service that take part in
// the merge. It is kept as JSON in the consumers, so that the last known export of a cluster that is away still counts
// (SPEC L9); field names are therefore part of the stored format.
type Export struct {
	// Cluster is the id of the exporting cluster.
	Cluster string `json:"cluster"`
	// Created is the creationTimestamp of the ServiceExport: the oldest wins (SPEC M1).
	Created time.Time `json:"created"`
	// Since is when the export was first seen, where that is what its age counts from; zero where Created is. See [Export.Age].
	Since time.Time `json:"since,omitzero"`
	// Labels and Annotations are spec.exportedLabels and spec.exportedAnnotations, without the keys that are refused (SPEC E4, X5).
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Consumers are the clusters that may import it, sorted; nil is all of them, empty is none (SPEC P2).
	Consumers []string `json:"consumers,omitzero"`
	// Prefer are the clusters whose endpoints are used first, in order; nil says nothing of that, empty no preference (SPEC P3).
	Prefer []string `json:"prefer,omitzero"`
	// Truncated says that only the fields up to Since are kept, because all of it was too long to be remembered: that the cluster
	// exports the name, and since when. Such an export tells ages, and takes no part in [Merge].
	Truncated bool `json:"truncated,omitempty"`
	Service
	// Refused are the fields of the Service that are left out, for the import to report; they are not kept (SPEC X2).
	Refused []Refusal `json:"-"`
}

// Refusal is something that is left out, and why.
type Refusal struct{ What, Why string }

// Service is the set of global properties (KEP-1645 "Global Properties") of a Service, exported or merged.
type Service struct {
	Headless bool `json:"headless,omitempty"`
	// Ports are sorted as the Service has them; a merged service has the winner's first, then what others add.
	Ports           []Port                 `json:"ports,omitempty"`
	SessionAffinity corev1.ServiceAffinity `json:"sessionAffinity,omitempty"`
	// AffinityTimeout is sessionAffinityConfig.clientIP.timeoutSeconds, in seconds; nil unless the affinity is ClientIP.
	AffinityTimeout       *int32                              `json:"affinityTimeout,omitempty"`
	InternalTrafficPolicy corev1.ServiceInternalTrafficPolicy `json:"internalTrafficPolicy,omitempty"`
	TrafficDistribution   string                              `json:"trafficDistribution,omitempty"`
	// IPFamilies are the families of the Service, the primary first.
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`
}

// Port is a port of an exported or merged service.
type Port struct {
	Name        string          `json:"name,omitempty"`
	Protocol    corev1.Protocol `json:"protocol,omitempty"`
	AppProtocol string          `json:"appProtocol,omitempty"`
	Number      int32           `json:"number"`
	// Published is the name on the import, the derived Service and its slices: Name, or a generated one ("80-tcp") where an unnamed
	// port stands among others (SPEC M2). Set by [Merge] only.
	Published string `json:"-"`
}

// Conflict is one property in which the exports disagree.
type Conflict struct {
	// Reason is the constant of the API module, such as PortConflict.
	Reason mcs.ServiceExportConditionReason
	// Message names the field, the winning cluster and value, the others, and how many disagree, for people:
	// "port http: 80/TCP from cluster-a (oldest export) wins over 8080/TCP of cluster-b; 1/3 clusters disagree".
	Message string
}

// Result is one multi-cluster service.
type Result struct {
	Service
	Labels, Annotations map[string]string
	// Prefer is that of the oldest export (SPEC P3, M1).
	Prefer []string
	// Clusters are the exporting clusters by precedence, the winner first.
	Clusters []string
	// Conflicts are true of every constituent export (SPEC M4), sorted by reason; nil when all agree.
	Conflicts []Conflict
	// Routes says per cluster which of its own Service ports serve which merged port: own port name (as its slices have
	// it) to Published name. A port that is not listed must not be sent traffic (SPEC M3).
	Routes map[string]map[string]string
	// Exports are the inputs by precedence, as they are to be remembered (SPEC L9).
	Exports []Export
}

// Merge returns the one service that exports, at most one per cluster, amount to, or the zero Result if there are none.
// The order of exports does not matter; now is only used to tell timestamps that lie in the future (SPEC M1).
//
// Where the exports disagree on being headless, the endpoints of all of them still belong to the service: a conflict says
// which property holds, not who serves.
func Merge(exports []Export, now time.Time) Result {
	if len(exports) == 0 {
		return Result{}
	}
	sorted := byPrecedence(exports, now)
	winner := &sorted[0]
	offers, clashes := union(sorted)
	result := Result{
		Service:     winner.Service,
		Labels:      winner.Labels,
		Annotations: winner.Annotations,
		Prefer:      prefer(sorted),
		Clusters:    make([]string, len(sorted)),
		Routes:      make(map[string]map[string]string, len(sorted)),
		Exports:     sorted,
	}
	result.Ports = make([]Port, len(offers))
	for i := range offers {
		result.Ports[i] = offers[i].Port
	}
	publish(result.Ports)
	for i := range sorted {
		result.Clusters[i] = sorted[i].Cluster
		result.Routes[sorted[i].Cluster] = route(sorted[i].Ports, result.Ports)
	}
	var familyConflict *Conflict
	result.IPFamilies, familyConflict = mergeFamilies(sorted)
	if len(sorted) == 1 {
		return result
	}
	result.Conflicts = conflicts(sorted)
	for _, c := range []*Conflict{portConflict(sorted, offers, clashes), familyConflict} {
		if c != nil {
			result.Conflicts = append(result.Conflicts, *c)
		}
	}
	slices.SortFunc(result.Conflicts, func(a, b Conflict) int { return strings.Compare(string(a.Reason), string(b.Reason)) })
	return result
}
