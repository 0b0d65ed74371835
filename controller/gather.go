package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
)

// offer is what the whole clusterset says of one name. It is the same for every consumer and is not changed once made.
type offer struct {
	service     *merge.Result // nil when nobody exports the name
	sources     []plan.Source
	invalid     map[string]*merge.Invalid // by cluster: exports that take no part
	unsure      map[string]bool           // clusters of which nothing is known at present
	unreachable map[string]bool           // exporting clusters past the grace period (SPEC L2)
	lost        map[string]bool           // those that are out of reach, but not for long enough
	members     []string
}

// wanted is the offer as plan takes it.
func (o *offer) wanted(key types.NamespacedName) plan.Wanted {
	w := plan.Wanted{
		Key: key, Service: o.service, Sources: o.sources, Unsure: o.unsure, Unreachable: o.unreachable, Members: o.members,
	}
	for _, cluster := range slices.Sorted(maps.Keys(o.invalid)) {
		w.Refused = append(w.Refused, fmt.Sprintf("%s (%s: %s)", cluster, o.invalid[cluster].Reason, o.invalid[cluster].Message))
	}
	return w
}

// gather reads all state of key from the caches of every provider and merges it.
func (c *Controller) gather(key types.NamespacedName) *offer {
	return c.merged.get(key, func() *offer {
		o := gather(key, c.set.Members(), time.Now())
		o.withdraw(c.opts.Withdrawal)
		return o
	})
}

func gather(key types.NamespacedName, members []*clusters.Member, now time.Time) *offer {
	o := &offer{invalid: map[string]*merge.Invalid{}, unsure: map[string]bool{}, unreachable: map[string]bool{}, lost: map[string]bool{}}
	var exports []merge.Export
	for _, m := range members {
		o.members = append(o.members, m.ID())
		if !m.Registration().Provider {
			continue
		}
		switch m.Standing() {
		case clusters.Withdrawn:
			o.unreachable[m.ID()] = true
		case clusters.Lost:
			o.lost[m.ID()] = true
		}
		limits := m.Registration().Limits
		if !limits.MayExport(key.Namespace) {
			if m.Export(key) != nil {
				o.invalid[m.ID()] = &merge.Invalid{Reason: merge.NamespaceNotAllowed, Message: fmt.Sprintf(
					"cluster %s may not export from namespace %s, only from %s", m.ID(), key.Namespace, strings.Join(limits.Exports, ", "))}
			}
			continue
		}
		if !m.ProviderSynced() {
			o.unsure[m.ID()] = true
			continue
		}
		export := m.Export(key)
		if export == nil {
			continue
		}
		e, invalid := merge.Of(m.ID(), export, m.Service(key))
		if invalid != nil {
			o.invalid[m.ID()] = invalid
			continue
		}
		exports = append(exports, e)
		o.sources = append(o.sources, plan.Source{
			Cluster: m.ID(), Slices: m.SourceSlices(key), CIDRs: limits.EndpointCIDRs,
		})
	}
	exports = append(exports, remembered(key, members, o.unsure)...)
	if len(exports) > 0 {
		service := merge.Merge(exports, now)
		o.service = &service
	}
	return o
}

// withdraw marks the sources whose endpoints are to be taken out by the policy: those of unreachable clusters, unless they
// are the last (SPEC L2); and those of lost ones, which stay as they are, in or out. A cluster whose slices are not known gets a source without any, for what consumers hold of it.
func (o *offer) withdraw(policy clusters.Policy) {
	if o.service == nil || len(o.unreachable)+len(o.lost) == 0 {
		return
	}
	if policy.Withdraws(o.ready(func(cluster string) bool { return !o.unreachable[cluster] && !o.lost[cluster] })) {
		for i := range o.sources {
			o.sources[i].Lost = o.lost[o.sources[i].Cluster]
		}
	}
	if !policy.Withdraws(o.ready(func(cluster string) bool { return !o.unreachable[cluster] })) {
		return
	}
	for i := range o.sources {
		o.sources[i].Withdrawn = o.unreachable[o.sources[i].Cluster]
	}
	for _, cluster := range o.service.Clusters {
		if o.unreachable[cluster] && o.unsure[cluster] {
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

// remembered returns the last known exports of the clusters in unsure, from what the consumers keep (SPEC L9). All
// consumers were told the same, so the first that remembers a cluster is as good as any.
func remembered(key types.NamespacedName, members []*clusters.Member, unsure map[string]bool) []merge.Export {
	if len(unsure) == 0 {
		return nil
	}
	var exports []merge.Export
	found := map[string]bool{}
	for _, m := range members {
		if !m.Registration().Consumer {
			continue
		}
		i := m.Import(key)
		if i == nil {
			continue
		}
		kept, err := plan.Remembered(i)
		if err != nil {
			continue // hostile or from another version: as good as nothing remembered
		}
		for _, e := range kept {
			if unsure[e.Cluster] && !found[e.Cluster] {
				found[e.Cluster] = true
				exports = append(exports, e)
			}
		}
	}
	return exports
}

// memory keeps one offer per name until something about the name changes, so that it is merged once and not once per
// consumer. The zero value is ready for use.
type memory struct {
	mu     sync.Mutex
	epoch  uint64 // counts what was forgotten: an offer computed across a change is used, but not kept
	offers map[types.NamespacedName]*offer
}

func (m *memory) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	if key.Name == "" {
		m.offers = nil
		return
	}
	delete(m.offers, key)
}

func (m *memory) get(key types.NamespacedName, compute func() *offer) *offer {
	m.mu.Lock()
	if o, ok := m.offers[key]; ok {
		m.mu.Unlock()
		return o
	}
	epoch := m.epoch
	m.mu.Unlock()

	o := compute()

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == epoch {
		if m.offers == nil {
			m.offers = map[types.NamespacedName]*offer{}
		}
		m.offers[key] = o
	}
	return o
}
