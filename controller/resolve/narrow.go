package resolve

import (
	"fmt"
	"maps"
	"slices"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// notForThisCluster is why an export is not seen by a cluster that it does not name; people read it on an import.
const notForThisCluster mcs.ServiceExportConditionReason = "NotForThisCluster"

// unseen returns the clusters whose exports are closed to the consumer, and the others that its import leaves out, both in the order of
// members.
func (n *Name) unseen(consumer string, providers []string) (closed, leftOut []string) {
	if providers == nil && len(n.Consumers) == 0 {
		return nil, nil // the common case, without a look at every member
	}
	for _, cluster := range n.Members {
		named, restricted := n.Consumers[cluster]
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
func (n *Name) mayExport(ids []string) (out []string) {
	for _, id := range ids {
		if n.Unsynced[id] || slices.ContainsFunc(n.Exports, func(e merge.Export) bool { return e.Cluster == id }) {
			out = append(out, id)
		}
	}
	return out
}

// without returns the name less the clusters that are hidden. Of those that are closed, the consumer reads that they are.
func (n *Name) without(hidden map[string]bool, closed []string) Name {
	out := *n
	out.Exports = slices.DeleteFunc(slices.Clone(n.Exports), func(e merge.Export) bool { return hidden[e.Cluster] })
	out.RefusedKeys, out.Invalid, out.Unsynced = maps.Clone(n.RefusedKeys), maps.Clone(n.Invalid), maps.Clone(n.Unsynced)
	maps.DeleteFunc(out.RefusedKeys, func(id string, _ []string) bool { return hidden[id] })
	maps.DeleteFunc(out.Invalid, func(id string, _ *merge.Invalid) bool { return hidden[id] })
	maps.DeleteFunc(out.Unsynced, func(id string, _ bool) bool { return hidden[id] })
	for _, id := range closed {
		out.Invalid[id] = &merge.Invalid{Reason: notForThisCluster, Message: fmt.Sprintf(
			"annotation %s of its ServiceExport would have to name this cluster", mcsapi.AnnotationConsumers)}
	}
	return out
}
