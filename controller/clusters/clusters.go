// Package clusters holds the members of the clusterset: who they are, how they are reached, and what each of them holds.
//
// A tour, from the outside in. A [Source] says which members there are, with their credentials: flags, a directory, or
// labelled Secrets. A [Set] keeps one [Member] per registration, for as long as some source names it. A member reads its
// cluster through a connection, one per credentials, which probes the API server, finds the served API versions, and runs
// one feed per kind: a list and then watches for ever, into a store. The engine reads the stores and is told by a [Handler]
// which names to look at again; it never waits for a cluster.
//
// Three rules hold throughout. Doubt is not absence: a kind that is not served, not permitted, or not synced is "not
// known", and what was known stays (SPEC L3, L6). Readers never see half: other credentials, or another API version, sync
// first and then replace the old in one step (SPEC L8). And all that runs for a member ends with its context.
//
// The package writes two things: the Leases that tell in each consumer which providers are connected, and the id of a newly
// met member, into the Secret that registers it. It never decides what an export means (merge) or what a consumer should
// hold (plan).
package clusters

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Registration is what a source says of a member.
type Registration struct {
	// ID is the cluster id (SPEC X4). Empty means that the cluster is asked for its ClusterProperty
	// cluster.clusterset.k8s.io at first contact; Pin must then be set.
	ID string
	// Origin names the registration for people and tells registrations apart: "--cluster c1=a.kubeconfig",
	// "Secret mcs-system/c1", "c1.kubeconfig".
	Origin string
	// Config reaches the cluster. It is nil when Err is set.
	Config *rest.Config
	// Revision tells credentials apart: the same value means the same Config. Empty compares the pointers.
	Revision string
	// Err says why the registration can't be used, in one line that says what is wrong and what is expected. Such a
	// member is in the set, as one that can't be reached: broken credentials are no reason to delete anything (SPEC L6).
	Err error

	// Provider and Consumer are the roles of the cluster.
	Provider, Consumer bool
	// ExportStatus says that the status of the cluster's ServiceExports is ours to write: in the fleet role those of every
	// provider, in the member role only those of the own cluster (DESIGN 3).
	ExportStatus bool
	// Limits are what the member is trusted with.
	Limits Limits
	// Registered is when the registration was made; zero if the source does not know.
	Registered time.Time

	// Pin stores the id that the cluster gave at first contact, so that it is known before contact ever after. A member
	// whose id can't be stored is not admitted: after a restart it would be taken for one that left.
	Pin func(ctx context.Context, id string) error
}

// Source watches one kind of registration.
type Source interface {
	// Run sends the complete present set of registrations at first and on every change, until ctx ends. A source that
	// can't tell what is present sends nothing: silence changes nothing.
	Run(ctx context.Context, update func([]Registration)) error
}

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
	Liveness Liveness
	// LeaseNamespace is the namespace of the Leases in each consumer, where it exists. Empty means mcs-system.
	LeaseNamespace string
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
	if grace := o.Liveness.withDefaults().Grace; grace > 0 {
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
	if grace := o.Liveness.withDefaults().Grace; grace > 0 {
		return grace
	}
	return Liveness{}.withDefaults().Grace
}

// role returns reg as it counts in this set's role: all as registered in the fleet role, and in the member role the
// others as providers that are only read.
func (o Options) role(reg Registration) Registration {
	if o.Self == "" {
		return reg
	}
	self := reg.ID == o.Self
	reg.Consumer = reg.Consumer && self
	reg.ExportStatus = reg.ExportStatus && self
	return reg
}

// orDiscard returns log, or one that discards.
func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
