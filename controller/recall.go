package controller

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
)

// recalling returns the facts with exports that are remembered, of clusters of which nothing is known at present (SPEC L9).
func (f facts) recalling(exports []merge.Export) facts {
	if len(exports) == 0 {
		return f
	}
	f.exports, f.consumers = slices.Clone(f.exports), maps.Clone(f.consumers)
	for i := range exports {
		f.exports = append(f.exports, exports[i].Trust(f.trusted[exports[i].Cluster]))
		f.restrict(exports[i].Cluster, exports[i].Consumers)
	}
	return f
}

// remembered returns the last known exports of the clusters in unsure, from what an import keeps (SPEC L9). It may be nil; one
// of another clusterset says nothing.
func remembered(i *mcs.ServiceImport, unsure map[string]bool, clusterset string) []merge.Export {
	if i == nil || len(unsure) == 0 || plan.OtherSet(i, clusterset) != "" {
		return nil
	}
	kept, err := plan.Remembered(i)
	if err != nil {
		return nil // hostile or from another version: as good as nothing remembered
	}
	return slices.DeleteFunc(kept, func(e merge.Export) bool { return !unsure[e.Cluster] })
}

// anyMemory returns the last known exports of the clusters in unsure, from the first consumer that remembers each. Verdicts
// on the exports of others are made with it; what a consumer holds only with what it remembers itself, see [picture.to].
func anyMemory(key types.NamespacedName, members []*clusters.Member, unsure map[string]bool, clusterset string) []merge.Export {
	var exports []merge.Export
	found := map[string]bool{}
	for _, m := range members {
		if !m.Registration().Consumer {
			continue
		}
		for _, e := range remembered(m.Import(key), unsure, clusterset) {
			if !found[e.Cluster] {
				found[e.Cluster] = true
				exports = append(exports, e)
			}
		}
	}
	return exports
}
