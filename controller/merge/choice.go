package merge

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// MaxChoiceBytes is how long an annotation of an export may be that names clusters: a thousand ids of 15 octets. It is kept
// in every importing cluster, where there is room for so much and not for all that an annotation can hold.
const MaxChoiceBytes = 16 << 10

// Consumers returns the clusters that may import the export, sorted: nil is all of them, empty is none (SPEC P2).
func Consumers(export *mcs.ServiceExport) []string {
	ids := chosen(export, mcsapi.AnnotationConsumers)
	slices.Sort(ids)
	return ids
}

// Named is [Consumers] for an export that takes no part: nil also where an annotation is too long to tell. Every cluster is then told
// why it takes none, instead of that it is not for this cluster.
func Named(export *mcs.ServiceExport) []string {
	if len(export.Annotations[mcsapi.AnnotationConsumers]) > MaxChoiceBytes {
		return nil
	}
	return Consumers(export)
}

// chosen returns the clusters that an annotation of the export names. What no cluster can be called is nobody's name, and is not
// kept in the importing clusters; an annotation that is too long, for which the export is refused, names nobody (SPEC X2).
func chosen(export *mcs.ServiceExport, annotation string) []string {
	if len(export.Annotations[annotation]) > MaxChoiceBytes {
		return []string{}
	}
	ids := mcsapi.ClustersIn(export.Annotations, annotation)
	return slices.DeleteFunc(ids, func(id string) bool { return !isID(id) })
}

// isID reports whether a cluster can be called so, see [Export.Check].
func isID(id string) bool { return len(id) <= validation.LabelValueMaxLength && mcsapi.IsSubdomain(id) }

// badChoice refuses an export whose annotations can't be honoured: that of one that names its consumers must not count as
// one that names none.
func badChoice(export *mcs.ServiceExport) *Invalid {
	for _, name := range []string{mcsapi.AnnotationConsumers, mcsapi.AnnotationPrefer} {
		if len(export.Annotations[name]) > MaxChoiceBytes { // how long it was is not kept
			return &Invalid{InvalidChoice, fmt.Sprintf("annotation %s has more than %d bytes", name, MaxChoiceBytes)}
		}
	}
	return nil
}

// checkChoice says what in a remembered export can't have come from [Of].
func (e *Export) checkChoice() error {
	for _, ids := range [][]string{e.Consumers, e.Prefer} {
		size := 0
		for _, id := range ids {
			if !isID(id) {
				return fmt.Errorf("%q is not a cluster id", excerpt.Of(id, 80))
			}
			size += len(id)
		}
		if size > MaxChoiceBytes {
			return fmt.Errorf("%d bytes of cluster ids", size)
		}
	}
	return nil
}

// MayImport says whether the cluster may import the export (SPEC P2).
func (e *Export) MayImport(cluster string) bool {
	return e.Consumers == nil || slices.Contains(e.Consumers, cluster)
}

// prefer is what the oldest export says, even if that is nothing: who exports later can't change where traffic goes. That others
// say something else is no conflict, since no property of the Service is in question.
func prefer(sorted []Export) []string {
	if len(sorted) == 0 {
		return nil
	}
	return sorted[0].Prefer
}
