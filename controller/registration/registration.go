package registration

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
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

// SameMember says whether a registration is still of the member that it was of; another id or role is another member.
func SameMember(a, b Registration) bool {
	return a.ID == b.ID && a.Provider == b.Provider && a.Consumer == b.Consumer && a.ExportStatus == b.ExportStatus
}

// sameRegistration says whether nothing is to be done about b where a is known.
func sameRegistration(a, b Registration) bool {
	return SameMember(a, b) && SameCredentials(a, b) && a.Limits.Equal(&b.Limits)
}

func SameCredentials(a, b Registration) bool {
	if a.Err != nil || b.Err != nil {
		return a.Err != nil && b.Err != nil && a.Err.Error() == b.Err.Error()
	}
	if a.Revision != "" || b.Revision != "" {
		return a.Revision == b.Revision
	}
	return a.Config == b.Config
}

func byOrigin(regs []Registration) map[string]Registration {
	m := make(map[string]Registration, len(regs))
	for _, reg := range regs {
		m[reg.Origin] = reg
	}
	return m
}

func sameRegistrations(a, b map[string]Registration) bool {
	if len(a) != len(b) {
		return false
	}
	for origin, reg := range a {
		other, ok := b[origin]
		if !ok || !sameRegistration(reg, other) {
			return false
		}
	}
	return true
}

// ValidID says what is wrong with a cluster id; nil if nothing is (SPEC X4).
func ValidID(id string) error {
	const want = "want one DNS label, or two joined by a dot, of 63 octets in all"
	labels := strings.Split(id, ".")
	if id == "" || len(id) > 63 || len(labels) > 2 {
		return fmt.Errorf("cluster id %q: %s", id, want)
	}
	for _, label := range labels {
		if len(validation.IsDNS1123Label(label)) > 0 {
			return fmt.Errorf("cluster id %q: %s", id, want)
		}
	}
	return nil
}

// orDiscard returns log, or one that discards.
func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
