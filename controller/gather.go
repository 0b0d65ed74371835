package controller

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/resolve"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// facts are what all members have of one name. They are not changed once gathered.
type facts struct {
	resolve.Name
	sources   []plan.Source   // the slices of the exports in Name
	withdrawn map[string]bool // exporting clusters past the grace period (SPEC L2)
	lost      map[string]bool // those that are out of reach, but not for long enough
}

// gather reads all state of key from the members, whose ids are given once for all names.
func gather(key types.NamespacedName, from []*members.Member, ids []string) facts {
	f := facts{Name: resolve.NewName(ids), withdrawn: map[string]bool{}, lost: map[string]bool{}}
	for _, m := range from {
		if m.Registration().Provider {
			f.provider(key, m)
		}
	}
	return f
}

// provider adds what one provider has of the name.
func (f *facts) provider(key types.NamespacedName, m *members.Member) {
	switch m.Standing() {
	case liveness.Withdrawn:
		f.withdrawn[m.ID()] = true
	case liveness.Lost:
		f.lost[m.ID()] = true
	}
	limits := m.Registration().Limits
	export := m.Export(key)
	var since time.Time
	if export != nil {
		since = m.ExportedSince(export) // noted whatever becomes of the export here
	}
	switch {
	case !limits.MayExport(key.Namespace):
		if export != nil {
			f.Refuse(m.ID(), export, &merge.Invalid{Reason: merge.NamespaceNotAllowed, Message: limits.NotExported(m.ID(), key.Namespace)})
		}
		return
	case !nameKnown(m, key, export):
		f.Miss(m.ID(), limits.MayExportKey)
		return
	case export == nil:
		return
	}
	e, invalid := merge.Of(m.ID(), export, m.Service(key), limits.MayExportKey)
	if invalid != nil {
		f.Refuse(m.ID(), export, invalid)
		return
	}
	var met resolve.Met
	met.At, met.Known = m.Met()
	f.Add(e.FirstSeen(since), met, merge.RefusedKeys(export, limits.MayExportKey))
	f.sources = append(f.sources, plan.Source{
		Cluster: m.ID(), Slices: m.SourceSlices(key), Further: m.FurtherSlices(key), CIDRs: limits.EndpointCIDRs,
	})
}

// nameKnown says whether the provider's side of the name is known: whether it is exported, and all that belongs to the export.
func nameKnown(m *members.Member, key types.NamespacedName, export *mcs.ServiceExport) bool {
	return m.ProviderSynced() && (export == nil || m.Knows(key))
}

// remembered returns what an import keeps of the exports of its name, as they were last known (SPEC L9). It may be nil; one of another
// clusterset says nothing.
func remembered(i *mcs.ServiceImport, clusterset string) resolve.Memory {
	if i == nil || plan.OtherSet(i, clusterset) != "" {
		return resolve.Memory{}
	}
	kept, err := plan.Remembered(i)
	if err != nil {
		return resolve.Memory{} // hostile or from another version: as good as nothing remembered
	}
	return resolve.Memory{Text: i.Annotations[mcsapi.AnnotationExports], Exports: kept}
}

// anyMemory returns the exports of a name as consumers remember them: those of the unsynced clusters each from the first that remembers
// it, the others from the first that remembers any. Verdicts on the exports of others are made with it; what a consumer holds only with
// what it remembers itself, see [resolve.Name.For].
func anyMemory(key types.NamespacedName, from []*members.Member, unsynced map[string]bool, clusterset string) []merge.Export {
	var exports []merge.Export
	found, missing := map[string]bool{}, len(unsynced)
	for _, m := range from {
		if !m.Registration().Consumer || missing == 0 && len(exports) > 0 {
			continue
		}
		first := len(exports) == 0
		for _, e := range remembered(m.Import(key), clusterset).Exports {
			if found[e.Cluster] || !first && !unsynced[e.Cluster] {
				continue
			}
			found[e.Cluster] = true
			exports = append(exports, e)
			if unsynced[e.Cluster] {
				missing--
			}
		}
	}
	return exports
}
