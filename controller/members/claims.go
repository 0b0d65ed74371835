package members

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/excerpt"
)

// This file decides who has an id, and which cluster is whose, where registrations or clusters claim the same (SPEC X4).

// pin stores the id that a cluster gave itself in its registration, and lets it join under it. One that is somebody else's is
// refused before it is stored: after a restart nobody could tell who had it first (SPEC X4).
func (s *Set) pin(ctx context.Context, reg registration.Registration, id string) error {
	if err := s.reserve(reg.Origin, id); err != nil {
		return err
	}
	err := reg.Pin(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved[reg.Origin] == id {
		delete(s.reserved, reg.Origin)
	}
	if err != nil {
		return fmt.Errorf("storing the id %q in the registration: %w", id, err)
	}
	if ctx.Err() == nil {
		s.learned[reg.Origin] = id
		s.settle()
	}
	return nil
}

// reserve keeps an id for the registration of an origin, while that gets it.
func (s *Set) reserve(origin, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, report := range s.reports {
		for _, r := range report {
			m := s.joined[r.Origin]
			held := r.ID == id || s.learned[r.Origin] == id || s.reserved[r.Origin] == id || m != nil && m.ID() == id
			if r.Origin != origin && held {
				return fmt.Errorf("the cluster's ClusterProperty says %q, which is the id of %s; want another id, there or in the registration", id, r.Origin)
			}
		}
	}
	s.reserved[origin] = id
	return nil
}

// claim is what a member has of the cluster with a UID: connected says that it is in use there, not only reaching for it.
type claim struct {
	holder    *Member
	connected bool
}

// claim notes that m is the cluster with a UID, and returns a [refusal] if another member is it already: one that is connected
// to it, since all that m has to show is what its API server says of itself; one that came earlier; or, where m is connected to
// some cluster and was given the credentials of another, any.
func (s *Set) claim(m *Member, uid types.UID) error {
	s.claimsMu.Lock()
	defer s.claimsMu.Unlock()
	held, ok := s.claims[uid]
	if ok && held.holder == m {
		return nil
	}
	if ok && (held.connected || held.holder.order < m.order || m.conn.Load() != nil) {
		return &refusal{fmt.Sprintf("it is the same cluster as member %s, registered by %s (UID %s of namespace %s); want each cluster once",
			held.holder.ID(), held.holder.Registration().Origin, excerpt.Of(string(uid), maxUID), metav1.NamespaceSystem)}
	}
	s.claims[uid] = claim{holder: m}
	return nil
}

// connected notes that m is connected to the cluster with a UID, if it holds that, and gives up what else it claimed; an empty
// UID is none.
func (s *Set) connected(m *Member, uid types.UID) {
	s.claimsMu.Lock()
	defer s.claimsMu.Unlock()
	for other, held := range s.claims {
		switch {
		case held.holder != m:
		case other == uid:
			s.claims[uid] = claim{m, true}
		default:
			delete(s.claims, other)
		}
	}
}

// release gives up all that m claimed.
func (s *Set) release(m *Member) { s.connected(m, "") }
