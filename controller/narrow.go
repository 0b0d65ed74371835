package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// notForThisCluster is why an export is not seen by a cluster that it does not name; people read it on an import.
const notForThisCluster mcs.ServiceExportConditionReason = "NotForThisCluster"

// unseen returns the clusters whose exports are closed to the consumer, and the others that its import leaves out, both in
// the order of members.
func (f *facts) unseen(consumer string, providers []string) (closed, leftOut []string) {
	if providers == nil && len(f.consumers) == 0 {
		return nil, nil // the common case, without a look at every member
	}
	for _, cluster := range f.members {
		named, restricted := f.consumers[cluster]
		switch {
		case restricted && !slices.Contains(named, consumer):
			closed = append(closed, cluster)
		case providers != nil && !slices.Contains(providers, cluster):
			leftOut = append(leftOut, cluster)
		}
	}
	return closed, leftOut
}

// mayExport returns those of the clusters that export the name, or of which it is not known whether they do.
func (f *facts) mayExport(ids []string) (out []string) {
	for _, id := range ids {
		if f.unsure[id] || slices.ContainsFunc(f.exports, func(e merge.Export) bool { return e.Cluster == id }) {
			out = append(out, id)
		}
	}
	return out
}

// without returns the facts less those of clusters that are not seen. It is known of them that they take no part, so nothing
// waits for them.
func (f *facts) without(closed, leftOut []string) facts {
	if len(closed)+len(leftOut) == 0 {
		return *f
	}
	hidden := map[string]bool{}
	for _, id := range slices.Concat(closed, leftOut) {
		hidden[id] = true
	}
	out := facts{
		consumers: f.consumers, unreachable: f.unreachable, lost: f.lost, members: f.members,
		invalid: map[string]*merge.Invalid{}, unsure: map[string]bool{}, trusted: f.trusted, met: f.met, keys: maps.Clone(f.keys),
		exports: slices.DeleteFunc(slices.Clone(f.exports), func(e merge.Export) bool { return hidden[e.Cluster] }),
		known:   slices.DeleteFunc(slices.Clone(f.known), func(s plan.Source) bool { return hidden[s.Cluster] }),
	}
	maps.DeleteFunc(out.keys, func(id string, _ []string) bool { return hidden[id] })
	for id, invalid := range f.invalid {
		if !hidden[id] {
			out.invalid[id] = invalid
		}
	}
	for id := range f.unsure {
		if !hidden[id] {
			out.unsure[id] = true
		}
	}
	for _, id := range closed {
		out.invalid[id] = &merge.Invalid{Reason: notForThisCluster, Message: fmt.Sprintf(
			"annotation %s of its ServiceExport would have to name this cluster", mcsapi.AnnotationConsumers)}
	}
	return out
}

// reach says on an export which clusters it does not get to, or which alone it does; "" if it gets to all (SPEC X3, P2).
func (c *Controller) reach(namespace string, consumers []string) string {
	var closed []string
	members := map[string]bool{}
	for _, m := range c.set.Members() {
		members[m.ID()] = true
		if r := m.Registration(); r.Consumer && !r.Limits.MayImport(namespace) {
			closed = append(closed, m.ID())
		}
	}
	said := "exported to the clusterset"
	if consumers != nil {
		said = restricted(consumers, members)
	}
	if len(closed) > 0 {
		said += fmt.Sprintf("; namespace %s is not imported into %s, whose %s would have to allow that",
			namespace, strings.Join(closed, ", "), registration.LimitImportNamespaces)
	} else if consumers == nil {
		return ""
	}
	return said
}

// restricted says to whom alone an export goes, and which of them are unknown: no error, but maybe a slip.
func restricted(consumers []string, members map[string]bool) string {
	if len(consumers) == 0 {
		return fmt.Sprintf("exported to no cluster: annotation %s names none", mcsapi.AnnotationConsumers)
	}
	said := fmt.Sprintf("exported to %s only, by annotation %s", strings.Join(consumers, ", "), mcsapi.AnnotationConsumers)
	unknown := slices.DeleteFunc(slices.Clone(consumers), func(id string) bool { return members[id] })
	if len(unknown) > 0 {
		said += "; not in the clusterset: " + strings.Join(unknown, ", ")
	}
	return said
}
