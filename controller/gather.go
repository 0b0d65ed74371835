package controller

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
)

// facts are what is known of one name in the whole clusterset. They are not changed once gathered.
type facts struct {
	exports     []merge.Export            // the valid ones, in no order
	known       []plan.Source             // the slices of those that are synced
	consumers   map[string][]string       // by cluster: whom an export names that does not go to all (SPEC P2)
	invalid     map[string]*merge.Invalid // by cluster: exports that take no part
	keys        map[string][]string       // by cluster: labels and annotations that are not taken from it (SPEC E4, X5)
	trusted     map[string]merge.Trusted  // what clusters in unsure are trusted with
	met         map[string]acquaintance   // the exporting clusters
	unsure      map[string]bool           // clusters of which nothing is known at present
	unreachable map[string]bool           // exporting clusters past the grace period (SPEC L2)
	lost        map[string]bool           // those that are out of reach, but not for long enough
	members     []string
}

// offer is what facts amount to. It is the same for every consumer that may see the same exports, and is not changed once
// made.
type offer struct {
	facts
	service *merge.Result // nil when nobody exports the name
	sources []plan.Source // what is known, with what is withdrawn
	leftOut []string      // see plan.Wanted

	unlessLast bool // see plan.Wanted
}

// offer merges what is known, and withdraws what is to be withdrawn.
func (f facts) offer(now time.Time, policy liveness.Policy) *offer {
	o := &offer{facts: f, sources: slices.Clone(f.known)}
	if len(f.exports) > 0 {
		service := merge.Merge(f.exports, now)
		o.service = &service
	}
	o.withdraw(policy)
	return o
}

// wanted is the offer as plan takes it.
func (o *offer) wanted(key types.NamespacedName) plan.Wanted {
	w := plan.Wanted{
		Key: key, Service: o.service, Sources: o.sources, UnlessLast: o.unlessLast, Unsure: o.unsure, Unreachable: o.unreachable, Members: o.members,
		LeftOut: o.leftOut, RefusedKeys: o.keys,
	}
	for _, cluster := range slices.Sorted(maps.Keys(o.invalid)) {
		w.Refused = append(w.Refused, fmt.Sprintf("%s (%s: %s)", cluster, o.invalid[cluster].Reason, o.invalid[cluster].Message))
	}
	return w
}

// gather reads all state of key from the members, whose ids are given once for all names.
func gather(key types.NamespacedName, from []*members.Member, ids []string) facts {
	f := facts{
		members: ids, consumers: map[string][]string{}, invalid: map[string]*merge.Invalid{},
		keys: map[string][]string{}, trusted: map[string]merge.Trusted{}, met: map[string]acquaintance{},
		unsure: map[string]bool{}, unreachable: map[string]bool{}, lost: map[string]bool{},
	}
	for _, m := range from {
		if m.Registration().Provider {
			f.provider(key, m)
		}
	}
	for i := range f.exports {
		f.restrict(f.exports[i].Cluster, f.exports[i].Consumers)
	}
	return f
}

// empty reports that nobody is known to have anything to do with the name, which may be one that is gone for good. That a cluster
// could have it of which nothing is known is true of every name, for as long as that lasts.
func (f *facts) empty() bool { return len(f.exports)+len(f.invalid) == 0 }

// exporters returns the clusters that have an export of the name, sorted.
func (f *facts) exporters() []string {
	ids := slices.Collect(maps.Keys(f.invalid))
	for i := range f.exports {
		ids = append(ids, f.exports[i].Cluster)
	}
	slices.Sort(ids)
	return ids
}

// provider adds what one provider has of the name.
func (f *facts) provider(key types.NamespacedName, m *members.Member) {
	switch m.Standing() {
	case liveness.Withdrawn:
		f.unreachable[m.ID()] = true
	case liveness.Lost:
		f.lost[m.ID()] = true
	}
	limits := m.Registration().Limits
	var since time.Time
	if export := m.Export(key); export != nil {
		since = m.ExportedSince(export) // noted whatever becomes of the export here
	}
	if !limits.MayExport(key.Namespace) {
		if export := m.Export(key); export != nil {
			f.refuse(m.ID(), export, &merge.Invalid{Reason: merge.NamespaceNotAllowed, Message: limits.NotExported(m.ID(), key.Namespace)})
		}
		return
	}
	export := m.Export(key)
	if !nameKnown(m, key, export) {
		f.unsure[m.ID()], f.trusted[m.ID()] = true, limits.MayExportKey
		return
	}
	if export == nil {
		return
	}
	e, invalid := merge.Of(m.ID(), export, m.Service(key), limits.MayExportKey)
	if invalid != nil {
		f.refuse(m.ID(), export, invalid)
		return
	}
	f.exports = append(f.exports, e.FirstSeen(since))
	f.met[m.ID()] = acquaintanceOf(m)
	if refused := merge.RefusedKeys(export, limits.MayExportKey); len(refused) > 0 {
		f.keys[m.ID()] = refused
	}
	f.known = append(f.known, plan.Source{
		Cluster: m.ID(), Slices: m.SourceSlices(key), Further: m.FurtherSlices(key), CIDRs: limits.EndpointCIDRs,
	})
}

// nameKnown says whether the provider's side of the name is known: whether it is exported, and all that belongs to the export.
func nameKnown(m *members.Member, key types.NamespacedName, export *mcs.ServiceExport) bool {
	return m.ProviderSynced() && (export == nil || m.Knows(key))
}

// refuse notes an export that takes no part, and why, which is for its consumers.
func (f *facts) refuse(cluster string, export *mcs.ServiceExport, why *merge.Invalid) {
	f.restrict(cluster, merge.Named(export))
	f.invalid[cluster] = why
}

// restrict notes the clusters that an export names as its consumers, nil for all.
func (f *facts) restrict(cluster string, consumers []string) {
	if consumers != nil {
		f.consumers[cluster] = consumers
	}
}

// withdraw marks the sources whose endpoints are to be taken out by the policy: those of unreachable clusters, unless they
// are the last (SPEC L2); and those of lost ones, which stay as they are, in or out. A cluster whose slices are not known gets a source without any, for what consumers hold of it.
func (o *offer) withdraw(policy liveness.Policy) {
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
	o.unlessLast = policy == liveness.WithdrawUnlessLast
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
