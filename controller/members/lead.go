package members

import (
	"context"
	"sync"
	"time"

	"github.com/clusterset/multicluster/controller/liveness"
)

// judgePeriod is the time between two looks at who can be reached. It is what is added to the grace period at most.
const judgePeriod = 250 * time.Millisecond

// Lead calls work, and while it runs judges who can be reached and keeps the Leases that say so (SPEC L1, L2). It is to be
// called when this replica leads; the first judgement is passed before work starts, so that a provider which a leader
// before this one gave up does not come back by mistake.
func (s *Set) Lead(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	j := liveness.NewDetector(s.opts.Liveness)
	s.observe(j)
	var running sync.WaitGroup
	running.Go(func() {
		ticks := time.NewTicker(judgePeriod)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				s.observe(j)
			}
		}
	})
	running.Go(func() { s.keepLeases(ctx) })
	err := work(ctx)
	cancel()
	running.Wait()
	s.suspended.Store(false) // who leads now says so
	for _, m := range s.Members() {
		if liveness.Standing(m.standing.Swap(int32(liveness.Reachable))) != liveness.Reachable {
			s.handler.Synced(m)
		}
	}
	return err
}

// observe lets the detector look at the providers, and tells what changed.
func (s *Set) observe(j *liveness.Detector) {
	members := s.Members()
	seen := map[string]liveness.Observation{}
	for _, m := range members {
		if m.remoteProvider() {
			seen[m.ID()] = m.sighting()
		}
	}
	j.Observe(time.Now(), seen)
	s.suspended.Store(j.Suspended)
	switch kept := j.Kept(); {
	case len(kept) > 0 && !j.Said:
		j.Said = true
		s.log.Warn("more than half of the remote providers can't be reached and vanished together, so it is we who are cut off: their endpoints are not withdrawn",
			"providers", kept)
	case !j.Suspended && j.Said:
		j.Said = false
		s.log.Info("we are not cut off any more: endpoints of unreachable providers are withdrawn again after the grace period")
	}
	for _, m := range members {
		now := j.Standing(m.ID())
		if before := liveness.Standing(m.standing.Swap(int32(now))); before != now {
			if !seen[m.ID()].At.IsZero() {
				m.log.Warn("standing of the provider changed", "from", before.String(), "to", now.String())
			}
			s.handler.Synced(m)
		}
	}
}

// Suspended says whether withdrawal is suspended because too many providers vanished together (SPEC L2).
func (s *Set) Suspended() bool { return s.suspended.Load() }

// Standing returns what may be concluded of the member as a provider. It is [liveness.Reachable] for the own cluster, and while this
// replica does not lead.
func (m *Member) Standing() liveness.Standing { return liveness.Standing(m.standing.Load()) }

func (m *Member) remoteProvider() bool {
	reg := m.Registration()
	return reg.Provider && (m.opts.Self == "" || reg.ID != m.opts.Self)
}
