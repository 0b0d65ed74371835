// Package members holds the members of the clusterset at run time: how they are reached, and what each of them holds.
//
// A tour, from the outside in. A [Set] keeps one [Member] for each [registration.Registration], for as long as some source names it.
// A member reads its cluster through a connection, one per credentials, which probes the API server, finds the served API
// versions, and runs one [mirror.Feed] per kind. The engine reads what they hold, and a [Handler] tells it which names to look at
// again; it never waits for a cluster.
//
// Three rules hold throughout. A kind that is not served, not permitted, or not synced is "not known", and what was known stays
// (SPEC L3, L6). Readers never see half: other credentials, or another API version, sync first and then replace the old in one step
// (SPEC L8). And all that runs for a member ends with its context.
//
// The package writes one thing: the Leases that show in each importing cluster which exporting clusters are connected. It never
// decides what an export means (merge), what a cluster should hold (plan), or when a cluster is given up (liveness).
package members

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/registration"
)

// Handler is told of changes. Its methods must not block, and may be called at the same time from several goroutines.
type Handler interface {
	// Joined and Left say that a member was added to or removed from the set.
	Joined(m *Member)
	Left(m *Member)
	// Changed says that something of the name changed in m: its export, Service, slices, import or derived Service.
	Changed(m *Member, key types.NamespacedName)
	// NamespaceChanged says that a namespace of the consumer m came, went, or began to terminate.
	NamespaceChanged(m *Member, namespace string)
	// ConsumerChanged says that something changed that bears on every import into m, such as the addresses of a node.
	ConsumerChanged(m *Member)
	// Synced says that [Member.ProviderSynced] or [Member.ConsumerSynced] changed, or something that bears on every name.
	Synced(m *Member)
}

// Options configure a [Set]. The zero value is fit for use.
type Options struct {
	// ClusterSet is the name that the objects we manage carry; imported slices with another are not ours (SPEC X5).
	ClusterSet string
	// Self is the id of the own cluster in the member role: the only one that is written to (DESIGN 3). Empty in the
	// fleet role.
	Self string
	// ProbeInterval is the time between two looks at a member's API server and its served versions. 0 means 5 s, or less
	// where the grace period asks for it.
	ProbeInterval time.Duration
	// Liveness says when a provider that can't be reached is given up.
	Liveness liveness.Periods
	// LeaseNamespace is the namespace of the Leases in each consumer, where it exists. Empty means mcs-system.
	LeaseNamespace string
	// Silence is how long a watch of a member may say nothing before another takes its place, Patience how long an API server may take
	// to open one, or to send more of a list. 0 means 90 s and 30 s.
	Silence, Patience time.Duration
	// UserAgent is sent with every request.
	UserAgent string
}

func (o Options) withDefaults() Options {
	if o.ProbeInterval == 0 {
		o.ProbeInterval = o.patience()
	}
	if o.LeaseNamespace == "" {
		o.LeaseNamespace = "mcs-system"
	}
	if o.UserAgent == "" {
		o.UserAgent = "mcs-controller"
	}
	return o
}

// patience is how long a member's API server may take to answer a question, and how long it is left alone: 5 s, and less
// with a short grace period. A member whose packets vanish is noticed only when a question to it times out; between its last
// answer and that lie one interval and at most three questions (its identity, its ranges, the next probe). A quarter of the
// grace period for each keeps the promise of SPEC L2: withdrawn when the period is over, not when the last question is.
func (o Options) patience() time.Duration {
	if grace := o.Liveness.WithDefaults().Grace; grace > 0 {
		return max(shortestPatience, min(longestPatience, grace/4))
	}
	return longestPatience
}

// The bounds of [Options.patience]. Below the shortest a healthy API server that is far away counts as unreachable.
const (
	shortestPatience = 500 * time.Millisecond
	longestPatience  = 5 * time.Second
)

// doubtAbsence is how long objects that are only absent from a new list are believed to be there: as long as a provider
// that is only out of reach.
func (o Options) doubtAbsence() time.Duration {
	if grace := o.Liveness.WithDefaults().Grace; grace > 0 {
		return grace
	}
	return liveness.Periods{}.WithDefaults().Grace
}

// role returns reg as it counts in this set's role: all as registered in the fleet role, and in the member role the
// others as providers that are only read.
func (o Options) role(reg registration.Registration) registration.Registration {
	if o.Self == "" {
		return reg
	}
	self := reg.ID == o.Self
	reg.Consumer = reg.Consumer && self
	reg.ExportStatus = reg.ExportStatus && self
	return reg
}
