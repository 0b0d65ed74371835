package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/members"
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
		if exports[i].Truncated { // a plan finds it on the import, and waits for its cluster
			continue
		}
		f.exports = append(f.exports, exports[i].Trust(f.trusted[exports[i].Cluster]))
		f.restrict(exports[i].Cluster, exports[i].Consumers)
	}
	return f
}

// acquaintance is since when a member is known, see [members.Member.Met].
type acquaintance struct {
	at    time.Time
	known bool
}

func acquaintanceOf(m *members.Member) (a acquaintance) {
	a.at, a.known = m.Met()
	return a
}

// before reports whether a process before this one served the consumer, whose imports remember exports of some clusters, and
// knew the member: what nobody remembers is new then. It knew those that are remembered, however they are registered: flags and
// files don't say since when they are.
func (a acquaintance) before(remembered map[string]bool, cluster string) bool {
	return len(remembered) > 0 && (a.known || remembered[cluster])
}

// aged returns the facts with the ages of exports as memory has them, and what tells those ages from others (SPEC M1). For
// known see [picture.to].
func (f facts) aged(memory []merge.Export, known map[string]bool) (facts, string) {
	var differs strings.Builder
	for i := range f.exports {
		e := &f.exports[i]
		met := f.met[e.Cluster]
		recalled := e.Recall(memory, met.at, met.before(known, e.Cluster))
		if recalled.Since.Equal(e.Since) {
			continue
		}
		if differs.Len() == 0 {
			f.exports = slices.Clone(f.exports)
		}
		f.exports[i] = recalled
		fmt.Fprintf(&differs, "%s %d,", recalled.Cluster, recalled.Since.Unix())
	}
	return f, differs.String()
}

// remembered returns what an import keeps of the exports of its name, as they were last known (SPEC L9). It may be nil; one of
// another clusterset says nothing.
func remembered(i *mcs.ServiceImport, clusterset string) []merge.Export {
	if i == nil || plan.OtherSet(i, clusterset) != "" {
		return nil
	}
	kept, err := plan.Remembered(i)
	if err != nil {
		return nil // hostile or from another version: as good as nothing remembered
	}
	return kept
}

// of returns the exports of some clusters.
func of(exports []merge.Export, clusters map[string]bool) []merge.Export {
	if len(clusters) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(exports), func(e merge.Export) bool { return !clusters[e.Cluster] })
}

// anyMemory returns the exports of a name as consumers remember them: those of the clusters in unsure each from the first that
// remembers it, the others from the first that remembers any. Verdicts on the exports of others are made with it; what a
// consumer holds only with what it remembers itself, see [picture.to].
func anyMemory(key types.NamespacedName, from []*members.Member, unsure map[string]bool, clusterset string) []merge.Export {
	var exports []merge.Export
	found, missing := map[string]bool{}, len(unsure)
	for _, m := range from {
		if !m.Registration().Consumer || missing == 0 && len(exports) > 0 {
			continue
		}
		first := len(exports) == 0
		for _, e := range remembered(m.Import(key), clusterset) {
			if found[e.Cluster] || !first && !unsure[e.Cluster] {
				continue
			}
			found[e.Cluster] = true
			exports = append(exports, e)
			if unsure[e.Cluster] {
				missing--
			}
		}
	}
	return exports
}
