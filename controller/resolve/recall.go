package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/controller/merge"
)

// recalling returns the name with exports that are remembered, of unsynced clusters (SPEC L9).
func (n Name) recalling(exports []merge.Export) Name {
	if len(exports) == 0 {
		return n
	}
	n.Exports, n.Consumers = slices.Clone(n.Exports), maps.Clone(n.Consumers)
	for i := range exports {
		if exports[i].Truncated { // a plan finds it on the import, and waits for its cluster
			continue
		}
		n.Exports = append(n.Exports, exports[i].Trust(n.Trusted[exports[i].Cluster]))
		n.restrict(exports[i].Cluster, exports[i].Consumers)
	}
	return n
}

// before reports whether a process before this one served the consumer, whose imports remember exports of some clusters, and knew the
// member: what nobody remembers is new then. It knew those that are remembered, however they are registered: flags and files don't say
// since when they are.
func (m Met) before(remembered map[string]bool, cluster string) bool {
	return len(remembered) > 0 && (m.Known || remembered[cluster])
}

// aged returns the name with the ages of exports as memory has them, and what tells those ages from others (SPEC M1). For known see
// [Name.For].
func (n Name) aged(memory []merge.Export, known map[string]bool) (Name, string) {
	var differs strings.Builder
	for i := range n.Exports {
		e := &n.Exports[i]
		met := n.Met[e.Cluster]
		recalled := e.Recall(memory, met.At, met.before(known, e.Cluster))
		if recalled.Since.Equal(e.Since) {
			continue
		}
		if differs.Len() == 0 {
			n.Exports = slices.Clone(n.Exports)
		}
		n.Exports[i] = recalled
		fmt.Fprintf(&differs, "%s %d,", recalled.Cluster, recalled.Since.Unix())
	}
	return n, differs.String()
}

// of returns the exports of some clusters.
func of(exports []merge.Export, clusters map[string]bool) []merge.Export {
	if len(clusters) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(exports), func(e merge.Export) bool { return !clusters[e.Cluster] })
}
