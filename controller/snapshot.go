package controller

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/resolve"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// snapshot is what all members had of one name when they were read, and what that comes to for importing clusters, by what they see of it.
type snapshot struct {
	facts
	opts *Options

	mu     sync.Mutex
	offers map[resolve.Key]*offer

	once    sync.Once
	verdict *offer // see forVerdict
}

// offer is what a name comes to: the same for every consumer that sees the same. It is not changed once made.
type offer struct {
	*resolve.Resolved
	sources    []plan.Source // of the clusters that are seen, with what is withdrawn
	withdrawn  map[string]bool
	lost       map[string]bool
	unlessLast bool // see plan.Wanted
}

// look reads all state of key from the caches of every provider.
func (c *Controller) look(key types.NamespacedName) *snapshot {
	return c.snapshots.get(key, func() *snapshot {
		return &snapshot{facts: gather(key, c.set.Members(), c.set.IDs()), opts: &c.opts}
	})
}

// to returns what a consumer gets, by its own import, which may be nil. For known see [resolve.Name.For].
func (s *snapshot) to(consumer string, i *mcs.ServiceImport, known map[string]bool) *offer {
	var providers []string
	if i != nil {
		providers = mcsapi.ClustersIn(i.Annotations, mcsapi.AnnotationProviders)
	}
	return s.offer(s.For(consumer, providers, remembered(i, s.opts.ClusterSet), known))
}

// forVerdict returns what verdicts on exports are made of, see [resolve.Name.Verdict]. Memory is asked once.
func (s *snapshot) forVerdict(memory func(unsynced map[string]bool) []merge.Export) *offer {
	s.once.Do(func() { s.verdict = s.offer(s.Verdict(memory)) })
	return s.verdict
}

// offer returns what a view comes to, which is made once.
func (s *snapshot) offer(v resolve.View) *offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offers[v.Key] == nil {
		// Each importing cluster has one view at a time, and verdicts one. More are of before; a hostile cluster could have any number
		// by what its import remembers, without a change of anything else (SPEC X6).
		if s.offers == nil || len(s.offers) > len(s.Members) {
			s.offers = make(map[resolve.Key]*offer, 1)
		}
		o := &offer{Resolved: v.Resolve(time.Now()), withdrawn: s.withdrawn, lost: s.lost}
		o.sources = slices.DeleteFunc(slices.Clone(s.sources), func(source plan.Source) bool { return !o.Sees(source.Cluster) })
		o.withdraw(s.opts.Withdrawal)
		s.offers[v.Key] = o
	}
	return s.offers[v.Key]
}

// wanted is the offer as plan takes it.
func (o *offer) wanted(key types.NamespacedName) plan.Wanted {
	w := plan.Wanted{
		Key: key, Service: o.Service, Sources: o.sources, UnlessLast: o.unlessLast, Unsure: o.Unsynced, Unreachable: o.withdrawn,
		Members: o.Members, LeftOut: o.LeftOut, RefusedKeys: o.RefusedKeys,
	}
	for _, cluster := range slices.Sorted(maps.Keys(o.Invalid)) {
		w.Refused = append(w.Refused, fmt.Sprintf("%s (%s: %s)", cluster, o.Invalid[cluster].Reason, o.Invalid[cluster].Message))
	}
	return w
}

// withdraw marks the sources whose endpoints are to be taken out by the policy: those of unreachable clusters, unless they
// are the last (SPEC L2); and those of lost ones, which stay as they are, in or out. A cluster whose slices are not known gets a source
// without any, for what consumers hold of it.
func (o *offer) withdraw(policy liveness.Policy) {
	if o.Service == nil || len(o.withdrawn)+len(o.lost) == 0 {
		return
	}
	if policy.Withdraws(o.ready(func(cluster string) bool { return !o.withdrawn[cluster] && !o.lost[cluster] })) {
		for i := range o.sources {
			o.sources[i].Lost = o.lost[o.sources[i].Cluster]
		}
	}
	if !policy.Withdraws(o.ready(func(cluster string) bool { return !o.withdrawn[cluster] })) {
		return
	}
	for i := range o.sources {
		o.sources[i].Withdrawn = o.withdrawn[o.sources[i].Cluster]
	}
	o.unlessLast = policy == liveness.WithdrawUnlessLast
	for _, cluster := range o.Service.Clusters {
		if o.withdrawn[cluster] && o.Unsynced[cluster] {
			o.sources = append(o.sources, plan.Source{Cluster: cluster, Withdrawn: true})
		}
	}
}

// ready reports whether one of the clusters that count has a ready endpoint; a condition that is not set means ready.
func (o *offer) ready(counts func(cluster string) bool) bool {
	for _, source := range o.sources {
		if !counts(source.Cluster) {
			continue
		}
		for _, s := range source.Slices {
			for i := range s.Endpoints {
				if ready := s.Endpoints[i].Conditions.Ready; ready == nil || *ready {
					return true
				}
			}
		}
	}
	return false
}

// snapshots keeps one snapshot per name until something about the name changes, so that it is merged once and not once per consumer.
// The zero value is ready for use.
type snapshots struct {
	mu    sync.Mutex
	epoch uint64 // counts what was forgotten: a snapshot made across a change is used, but not kept
	kept  map[types.NamespacedName]*snapshot
}

func (s *snapshots) forget(names scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	if names.reach == oneName {
		delete(s.kept, names.name)
		return
	}
	maps.DeleteFunc(s.kept, func(name types.NamespacedName, _ *snapshot) bool { return names.holds(name) })
}

func (s *snapshots) get(key types.NamespacedName, look func() *snapshot) *snapshot {
	s.mu.Lock()
	if known, ok := s.kept[key]; ok {
		s.mu.Unlock()
		return known
	}
	epoch := s.epoch
	s.mu.Unlock()

	made := look()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == epoch && !made.Empty() {
		if s.kept == nil {
			s.kept = map[types.NamespacedName]*snapshot{}
		}
		s.kept[key] = made
	}
	return made
}
