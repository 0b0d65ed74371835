// Package resolve decides which exports of a name an importing cluster sees, and with which memory: exports are restricted to
// consumers, imports to providers (SPEC P2); of clusters that are not read at present, the import remembers what they last exported
// (SPEC L9), and of all how old their exports are (SPEC M1). What is seen is merged.
//
// It is the step between reading all members, which the engine does once for a name, and planning, which it does once for each
// importing cluster: clusters that see the same share one result (see [View]). The package is pure: no client, context, clock or logger.
// It never decides what a merged service looks like (merge), or which endpoints are in use (plan).
package resolve

import (
	"maps"
	"slices"
	"time"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// Name is what all members have of one name, without its endpoints. It is not changed once it is whole.
type Name struct {
	// Members are the ids of all members.
	Members []string
	// Exports are the valid ones, in no order.
	Exports []merge.Export
	// Invalid are the exports that take no part, by cluster.
	Invalid map[string]*merge.Invalid
	// Consumers are the clusters that an export names, by exporting cluster; those that go to all have no entry (SPEC P2).
	Consumers map[string][]string
	// RefusedKeys are the labels and annotations that are not taken from an export, by cluster (SPEC E4, X5).
	RefusedKeys map[string][]string
	// Unsynced are the clusters of which it is not known now whether, or what, they export (SPEC L3).
	Unsynced map[string]bool
	// Trusted is what clusters in Unsynced are trusted with, for what is remembered of them.
	Trusted map[string]merge.Trusted
	// Met says since when the clusters of Exports are known.
	Met map[string]Met
}

// Met is since when a cluster is known, and whether its registration says that.
type Met struct {
	At    time.Time
	Known bool
}

// NewName returns a name that nobody exports.
func NewName(members []string) Name {
	return Name{
		Members: members, Invalid: map[string]*merge.Invalid{}, Consumers: map[string][]string{}, RefusedKeys: map[string][]string{},
		Unsynced: map[string]bool{}, Trusted: map[string]merge.Trusted{}, Met: map[string]Met{},
	}
}

// Refuse adds an export that takes no part. Its consumers read why.
func (n *Name) Refuse(cluster string, export *mcs.ServiceExport, why *merge.Invalid) {
	n.restrict(cluster, merge.Named(export))
	n.Invalid[cluster] = why
}

// Add adds a valid export.
func (n *Name) Add(e merge.Export, met Met, refusedKeys []string) {
	n.Exports = append(n.Exports, e)
	n.Met[e.Cluster] = met
	n.restrict(e.Cluster, e.Consumers)
	if len(refusedKeys) > 0 {
		n.RefusedKeys[e.Cluster] = refusedKeys
	}
}

// Miss adds a cluster of which nothing is known at present.
func (n *Name) Miss(cluster string, trusted merge.Trusted) {
	n.Unsynced[cluster], n.Trusted[cluster] = true, trusted
}

// restrict notes the clusters that an export names as its consumers, nil for all.
func (n *Name) restrict(cluster string, consumers []string) {
	if consumers != nil {
		n.Consumers[cluster] = consumers
	}
}

// Empty reports that nobody is known to have anything to do with the name, which may be one that is gone for good. That a cluster could
// have it of which nothing is known is true of every name, for as long as that lasts.
func (n *Name) Empty() bool { return len(n.Exports)+len(n.Invalid) == 0 }

// Exporters returns the clusters that have an export of the name, valid or not, sorted.
func (n *Name) Exporters() []string {
	ids := slices.Collect(maps.Keys(n.Invalid))
	for i := range n.Exports {
		ids = append(ids, n.Exports[i].Cluster)
	}
	slices.Sort(ids)
	return ids
}
