package plan

import (
	"cmp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// Verdict is what is known of one ServiceExport.
type Verdict struct {
	// Invalid says why nothing is exported; nil if the export is valid.
	Invalid *merge.Invalid
	// Conflicts are those of the merged service (SPEC M4).
	Conflicts []merge.Conflict
	// Refused are the labels and annotations that are not exported, from [merge.RefusedKeys].
	Refused []string
	// Pending and Failed, when not empty, say why a valid export is not exported yet, or can't be; Failed wins.
	Pending, Failed string
	// Exported says where to, when neither is set, such as "exported to the clusterset demo"; it may be empty.
	Exported string
}

var exportConditions = []string{
	string(mcs.ServiceExportConditionValid), string(mcs.ServiceExportConditionReady), string(mcs.ServiceExportConditionConflict), ConditionRefused,
}

// ConditionRefused is there while something is left out: on a ServiceExport, labels or annotations that are not exported
// (SPEC E4, X5); on a ServiceImport, endpoints, labels or annotations that are not imported (SPEC X2).
const ConditionRefused = "Refused"

// ExportStatus is the write that brings the conditions of e to what v says, with the Events of what changed; false if they
// are there already. Conditions of other types stay (SPEC E3).
func ExportStatus(e *mcs.ServiceExport, v Verdict, now Now) (Action, bool) {
	reports := v.reports()
	next, events := conditions(e.Status.Conditions, exportConditions, reports, e.Generation, now)
	if sameConditions(e.Status.Conditions, next) {
		return Action{}, false
	}
	patch := mergePatch(e, nil, "status", map[string]any{"conditions": next})
	return Action{Verb: PatchStatus, Object: e, Patch: patch, Reason: reports[1].message, Events: events}, true
}

func (v *Verdict) reports() []report {
	out := []report{v.valid(), v.ready(), conflict(nil)}
	if v.Invalid == nil && len(v.Conflicts) > 0 {
		out[2] = conflict(v.Conflicts)
	}
	if len(v.Refused) > 0 {
		out = append(out, report{ConditionRefused, metav1.ConditionTrue, KeysRefused, "not exported: " + strings.Join(few(v.Refused), ", "), warning})
	}
	return out
}

func (v *Verdict) valid() report {
	typ := string(mcs.ServiceExportConditionValid)
	if v.Invalid != nil {
		return report{typ, metav1.ConditionFalse, string(v.Invalid.Reason), v.Invalid.Message, warning}
	}
	return report{typ, metav1.ConditionTrue, string(mcs.ServiceExportReasonValid), "the Service can be exported", quiet}
}

func (v *Verdict) ready() report {
	typ := string(mcs.ServiceExportConditionReady)
	switch {
	case v.Invalid != nil && v.Invalid.Reason == mcs.ServiceExportReasonNoService:
		return report{typ, metav1.ConditionFalse, string(mcs.ServiceExportReasonPending), "waiting for the Service", notice}
	case v.Invalid != nil:
		return report{typ, metav1.ConditionFalse, string(mcs.ServiceExportReasonFailed), v.Invalid.Message, warning}
	case v.Failed != "":
		return report{typ, metav1.ConditionFalse, string(mcs.ServiceExportReasonFailed), v.Failed, warning}
	case v.Pending != "":
		return report{typ, metav1.ConditionFalse, string(mcs.ServiceExportReasonPending), v.Pending, notice}
	}
	return report{typ, metav1.ConditionTrue, string(mcs.ServiceExportReasonExported), cmp.Or(v.Exported, "exported to the clusterset"), notice}
}

// conflict reports conflicts as one condition, its reasons joined by commas (SPEC M4).
func conflict(conflicts []merge.Conflict) report {
	typ := string(mcs.ServiceExportConditionConflict)
	if len(conflicts) == 0 {
		return report{typ, metav1.ConditionFalse, string(mcs.ServiceExportReasonNoConflicts), "all exporting clusters agree", quiet}
	}
	reasons, messages := make([]string, len(conflicts)), make([]string, len(conflicts))
	for i, c := range conflicts {
		reasons[i], messages[i] = string(c.Reason), c.Message
	}
	return report{typ, metav1.ConditionTrue, strings.Join(reasons, ","), strings.Join(messages, "; "), warning}
}
