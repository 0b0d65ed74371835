// Package plan compares what one consuming cluster should hold for one multi-cluster service with what it holds, and
// says which writes, in which order, make the two equal, with a reason for each.
//
// It is pure: no client, context, clock or logger. It never puts an object into a plan that this clusterset does not own
// (SPEC X5), and a plan for a consumer that holds what it should is empty (SPEC S5). A plan is one pass: what depends on an
// answer of the API server (the import's UID, the derived Service's address) waits for the next pass, which the caller runs
// on the state as it is after applying, until a plan is empty.
package plan

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/ranges"
)

// Consumer is what a plan must know of the consuming cluster besides its objects.
type Consumer struct {
	// Cluster is its id; slices imported from itself keep nodeName (SPEC S2).
	Cluster string
	// ClusterSet is the name that managed objects carry (SPEC X5).
	ClusterSet string
	// Automatic says whether imports are created for every exported service (SPEC I2).
	Automatic bool
	// Families are the IP families that the cluster allocates Service addresses of, the primary first.
	Families []corev1.IPFamily
	// ImportVersion is the served version of ServiceImport, for owner references (SPEC S1).
	ImportVersion string
	// Drops are the fields that its ServiceImport schema does not keep (SPEC A7).
	Drops Fields
	// ServiceRanges are the ranges of its Services' addresses: no endpoint of another cluster can be there (SPEC X2).
	ServiceRanges ranges.Set
	// NodeAddresses are those of its nodes: likewise.
	NodeAddresses map[netip.Addr]bool
	// Prefer are the clusters whose endpoints are used first, in order, where neither import nor export says so (SPEC P3).
	Prefer []string
	// Closed says for people why nothing is imported into the namespace here; "" where it is (SPEC X3).
	Closed string
}

// Fields is a set of fields, by path such as "spec.ipFamilies", that a consumer's schema drops or refuses. Those of
// [OptionalFields] are honoured.
type Fields map[string]bool

// OptionalFields are the fields that some consumers do not keep: a plan does not write those in Consumer.Drops. Paths
// without a prefix are of ServiceImport (those that mcs-api v0.1.0 lacks among them), those with "service." of the derived
// Service.
var OptionalFields = []string{
	"spec.ips[1]", "spec.ipFamilies", "spec.internalTrafficPolicy", "spec.trafficDistribution",
	"status.clusters", "status.conditions", "status.endpointSliceObjects",
	"service.spec.internalTrafficPolicy", "service.spec.trafficDistribution",
}

// Wanted is what the clusterset says of the service.
type Wanted struct {
	Key types.NamespacedName
	// Service is nil when no cluster exports the name.
	Service *merge.Result
	// Sources are the exporting clusters' slices, one entry per cluster in Service.Clusters whose slices are known. A
	// cluster whose slices are not known (not synced, unreachable) has no entry and is listed in Unsure.
	Sources []Source
	// UnlessLast says that withdrawn sources keep their endpoints where they are the last that can be used (SPEC L2).
	UnlessLast bool
	// Unsure are clusters of which it is not known now what they export: their slices, their status entries and an import
	// that only they may still export are left as they are (SPEC L3, L6).
	Unsure map[string]bool
	// Unreachable are exporting clusters that are unreachable past the grace period, for the import's conditions; whether
	// their endpoints are withdrawn is what Sources say (SPEC L1, L2).
	Unreachable map[string]bool
	// Members are the known clusters of the clusterset, for messages and to tell whose an import is; it may be nil.
	Members []string
	// LeftOut are the clusters that export the name, or may, and that the import's annotation leaves out (SPEC P2): an import
	// that only they keep from being empty is not one that nobody exports.
	LeftOut []string
	// Refused are the exports of the name that are not valid, each as the cluster and what is wrong with it, for messages.
	Refused []string
	// RefusedKeys are, by cluster, the exported labels and annotations that are not imported, from [merge.RefusedKeys].
	RefusedKeys map[string][]string
}

// Source is one exporting cluster's EndpointSlices of the Service, as that cluster has them.
type Source struct {
	Cluster string
	Slices  []*discoveryv1.EndpointSlice
	// Further says why the cluster's further slices are not kept; "" if Slices are all (SPEC X6).
	Further string
	// Withdrawn says that the cluster's endpoints are to be taken out although it still exports (SPEC L2).
	Withdrawn bool
	// Lost says that the cluster is out of reach, and that it is not known whether a leader before this one withdrew its
	// endpoints: where it has none here any more they do not come back, and where it has, they stay (SPEC L2, L7).
	Lost bool
	// CIDRs are those that the cluster declared for its pods; its other endpoints are refused. Empty: none were declared
	// (SPEC X2).
	CIDRs []netip.Prefix
}

// Held is what the consumer holds now; nil or empty where it holds nothing. The objects are not changed.
type Held struct {
	// Namespace is true when the namespace exists and is not terminating (SPEC I1).
	Namespace bool
	Import    *mcs.ServiceImport
	// Derived is the Service of the derived name, whoever owns it.
	Derived *corev1.Service
	// Slices are the imported slices of this service that this controller manages.
	Slices []*discoveryv1.EndpointSlice
	// AddressLost says that the API server refused to give a derived Service made anew the address that spec.ips holds,
	// because something else has it by now. It then gets another.
	AddressLost bool
	// Taken are names of slices that something else has, which this controller did not create: they are not imported, which
	// is reported (SPEC X5).
	Taken map[string]bool
}

// Verb is a kind of write.
type Verb string

// The writes that a plan consists of. Patches are JSON merge patches (RFC 7386) that carry metadata.resourceVersion.
const (
	Create      Verb = "create"
	Update      Verb = "update"
	Patch       Verb = "patch"
	PatchStatus Verb = "patch-status"
	Delete      Verb = "delete"
)

// Action is one write.
type Action struct {
	Verb Verb
	// Object is the object to create, the whole object to update to, or the object as held for the other verbs. Its type is
	// *mcs.ServiceImport, *mcs.ServiceExport, *corev1.Service or *discoveryv1.EndpointSlice.
	Object metav1.Object
	// Patch is the merge patch of the patching verbs.
	Patch []byte
	// Reason says for people and logs why, such as "cluster-b withdrew its endpoints".
	Reason string
	// Events are to be recorded on the ServiceImport or ServiceExport once the write succeeded.
	Events []Event
}

// Event is a Kubernetes Event to record.
type Event struct {
	Warning bool
	// Announces says that no condition has what the Event says: where it is lost, nobody learns of it.
	Announces       bool
	Reason, Message string
}

// Now is when the plan is made, for lastTransitionTime; it moves only with a condition's status (SPEC E3).
type Now = time.Time
