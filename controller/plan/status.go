package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Types of conditions on a ServiceImport beside Ready; each is there only while it is true.
const (
	// ConditionMismatch says which fields of a person's import are not what is exported; a reason per field (SPEC I3).
	ConditionMismatch = "Mismatch"
	// ConditionConflict is the verdict that the exports carry, for consumers of clusters whose ServiceExports can't be
	// written (SPEC E3).
	ConditionConflict = string(mcs.ServiceExportConditionConflict)
	// ConditionNoLocalEndpoints says that internalTrafficPolicy Local leaves nothing to reach (SPEC S2).
	ConditionNoLocalEndpoints = "NoLocalEndpoints"
	// ConditionUnreachable names the exporting clusters that are unreachable, and what became of their endpoints (SPEC L1).
	ConditionUnreachable = "Unreachable"
	// ConditionRestricted says from which clusters alone is imported, because the import says so (SPEC P2).
	ConditionRestricted = "Restricted"
)

var importConditions = []string{
	string(mcs.ServiceImportConditionReady), ConditionMismatch, ConditionConflict, ConditionNoLocalEndpoints, ConditionUnreachable,
	ConditionRefused, ConditionRestricted,
}

// patchStatus brings the import's status to what it should be, once everything else is.
func (p *pass) patchStatus() (Action, bool) {
	if p.othersWait() {
		return Action{}, false
	}
	return p.writeStatus(p.reports())
}

func (p *pass) writeStatus(reports []report) (Action, bool) {
	status := p.clusters()
	if presence := p.presence(); !p.Drops["status.endpointSliceObjects"] && p.Import.Status.EndpointSliceObjects != presence {
		status["endpointSliceObjects"] = presence
	}
	return p.writeConditions(status, p.settledConditions(), reports)
}

// writeConditions adds to the change of a status that of its conditions: reports take the place of those of their types, and those of
// types in ours that nothing is reported of go.
func (p *pass) writeConditions(status map[string]any, ours []string, reports []report) (Action, bool) {
	held := p.heldConditions()
	next, events := conditions(held, ours, reports, p.Import.Generation, p.now)
	same := sameConditions(held, next)
	reason := reports[0].message
	if p.Drops["status.conditions"] {
		if !same && len(status) == 0 {
			annotations := map[string]any{mcsapi.AnnotationConditions: encode(next)}
			patch := mergePatch(p.Import, map[string]any{"annotations": annotations}, "", nil)
			return Action{Verb: Patch, Object: p.Import, Patch: patch, Reason: reason, Events: events}, true
		}
		same, events = true, nil
	}
	if !same {
		status["conditions"] = next
	}
	return p.statusPatch(status, reason, events)
}

// settledConditions are the types of conditions that go when there is nothing to report under them. While it is not known
// what an exporting cluster has, what was found in its slices stands: silence about them is no news (SPEC L6).
func (p *pass) settledConditions() []string {
	if p.Service == nil || !slices.ContainsFunc(p.Service.Clusters, func(cluster string) bool { return p.Unsure[cluster] }) {
		return importConditions
	}
	return slices.DeleteFunc(slices.Clone(importConditions), func(typ string) bool {
		return typ == ConditionNoLocalEndpoints || typ == ConditionUnreachable || typ == ConditionRefused
	})
}

// heldConditions are the import's, which stand in an annotation where the CRD has no place for them (SPEC A7).
func (p *pass) heldConditions() []metav1.Condition {
	if !p.Drops["status.conditions"] {
		return p.Import.Status.Conditions
	}
	var held []metav1.Condition
	if json.Unmarshal([]byte(p.Import.Annotations[mcsapi.AnnotationConditions]), &held) != nil {
		return nil // none yet, or garbled: written anew
	}
	return held
}

// patchClusters brings only the list of clusters up to date.
func (p *pass) patchClusters() (Action, bool) {
	return p.statusPatch(p.clusters(), "to list the exporting clusters", nil)
}

func (p *pass) statusPatch(status map[string]any, reason string, events []Event) (Action, bool) {
	if len(status) == 0 {
		return Action{}, false
	}
	return Action{Verb: PatchStatus, Object: p.Import, Patch: mergePatch(p.Import, nil, "status", status), Reason: reason, Events: events}, true
}

// clusters is the change that status.clusters needs, if any.
func (p *pass) clusters() map[string]any {
	status := make(map[string]any)
	names := p.statusClusters()
	if p.Drops["status.clusters"] || slices.Equal(names, clusterNames(&p.Import.Status)) {
		return status
	}
	list := make([]mcs.ClusterStatus, len(names))
	for i, name := range names {
		list[i].Cluster = name
	}
	status["clusters"] = orNull(list)
	return status
}

// othersWait says that an import which nobody exports, and which is no clusterset's yet, has another clusterset's word on it
// already: the first to say so is enough, or two controllers would take turns (SPEC X5).
func (p *pass) othersWait() bool {
	if p.Service != nil || p.claimed(p.Import) {
		return false
	}
	said := p.heldReady().Message
	return strings.HasPrefix(said, nobodyIn) && !strings.HasPrefix(said, nobodyIn+p.ClusterSet+" ")
}

// heldReady is the import's condition Ready, zero if it has none.
func (p *pass) heldReady() metav1.Condition {
	held := p.heldConditions()
	at := slices.IndexFunc(held, func(c metav1.Condition) bool { return c.Type == string(mcs.ServiceImportConditionReady) })
	if at < 0 {
		return metav1.Condition{}
	}
	return held[at]
}

// statusClusters are the exporting clusters, sorted, and those listed already of which it is not known whether they still
// export (SPEC I5, L3).
func (p *pass) statusClusters() []string {
	var names []string
	if p.Service != nil {
		names = slices.Clone(p.Service.Clusters)
	}
	for _, name := range clusterNames(&p.Import.Status) {
		if p.Unsure[name] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func clusterNames(s *mcs.ServiceImportStatus) []string {
	names := make([]string, len(s.Clusters))
	for i := range s.Clusters {
		names[i] = s.Clusters[i].Cluster
	}
	return names
}

// presence says that EndpointSlices are there for consumers to use.
func (p *pass) presence() mcs.EndpointSliceObjectsStatus {
	if p.shape.served {
		return mcs.EndpointSliceObjectsPresent
	}
	return mcs.EndpointSliceObjectsAbsent
}

// reports is what there is to say of the import, Ready first.
func (p *pass) reports() []report {
	out := []report{p.ready()}
	if len(p.shape.mismatches) > 0 {
		var reasons, messages []string
		for _, m := range p.shape.mismatches {
			reasons, messages = append(reasons, m.reason), append(messages, m.message)
		}
		out = append(out, report{ConditionMismatch, metav1.ConditionTrue, strings.Join(reasons, ","), strings.Join(messages, "; "), warning})
	}
	if p.Service != nil && len(p.Service.Conflicts) > 0 {
		out = append(out, conflict(p.Service.Conflicts))
	}
	if p.shape.served && p.Service.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal && !p.local() {
		out = append(out, report{ConditionNoLocalEndpoints, metav1.ConditionTrue, InternalTrafficPolicyLocal,
			"the exported Service has internalTrafficPolicy Local, which reaches only endpoints on the client's own node, and this cluster exports none", warning})
	}
	if r, ok := p.unreachable(); ok {
		out = append(out, r)
	}
	if r, ok := p.notImported(); ok {
		out = append(out, r)
	}
	if r, ok := p.restricted(); ok {
		out = append(out, r)
	}
	return out
}

// unreachable reports the exporting clusters that can't be reached: those whose endpoints are withdrawn, and those whose
// endpoints are kept, because nobody else has any or because that is the policy (SPEC L2).
func (p *pass) unreachable() (report, bool) {
	if p.Service == nil {
		return report{}, false
	}
	withdrawn := make(map[string]bool)
	for i := range p.Sources {
		cluster := p.Sources[i].Cluster
		withdrawn[cluster] = p.Sources[i].Withdrawn || p.withheld[cluster]
	}
	var gone, kept []string
	for _, cluster := range slices.Sorted(slices.Values(p.Service.Clusters)) {
		switch {
		case withdrawn[cluster]:
			gone = append(gone, cluster)
		case p.Unreachable[cluster]:
			kept = append(kept, cluster)
		}
	}
	var reasons, messages []string
	if len(gone) > 0 {
		reasons = append(reasons, EndpointsWithdrawn)
		messages = append(messages, fmt.Sprintf("%s: unreachable, endpoints withdrawn", strings.Join(few(gone), ", ")))
	}
	if len(kept) > 0 {
		reasons = append(reasons, EndpointsKept)
		messages = append(messages, fmt.Sprintf("%s: unreachable, endpoints kept as last known", strings.Join(few(kept), ", ")))
	}
	return report{ConditionUnreachable, metav1.ConditionTrue, strings.Join(reasons, ","), strings.Join(messages, "; "), warning}, len(messages) > 0
}

// restricted reports an import that names its providers, with those that it names in vain: no error, but maybe a slip.
func (p *pass) restricted() (report, bool) {
	providers := mcsapi.ClustersIn(p.Import.Annotations, mcsapi.AnnotationProviders)
	if providers == nil {
		return report{}, false
	}
	message := fmt.Sprintf("imported from %s only, by annotation %s", strings.Join(few(providers), ", "), mcsapi.AnnotationProviders)
	if len(providers) == 0 {
		message = fmt.Sprintf("imported from no cluster: annotation %s names none", mcsapi.AnnotationProviders)
	}
	if len(p.LeftOut) > 0 {
		message += "; left out: " + strings.Join(few(p.LeftOut), ", ")
	}
	unknown := slices.DeleteFunc(slices.Clone(providers), func(id string) bool { return slices.Contains(p.Members, id) })
	if len(unknown) > 0 && len(p.Members) > 0 {
		message += "; not in the clusterset: " + strings.Join(few(unknown), ", ")
	}
	return report{ConditionRestricted, metav1.ConditionTrue, RestrictedProviders, message, notice}, true
}

// blocked reports an import for which a write was refused.
func blocked(message string) report {
	return report{string(mcs.ServiceImportConditionReady), metav1.ConditionFalse, string(mcs.ServiceImportReasonPending), message, warning}
}

func (p *pass) ready() report {
	typ := string(mcs.ServiceImportConditionReady)
	pending := string(mcs.ServiceImportReasonPending)
	switch {
	case p.Service == nil:
		return report{typ, metav1.ConditionFalse, string(p.shape.reason), p.shape.message, notice}
	case !p.shape.served:
		return report{typ, metav1.ConditionFalse, string(p.shape.reason), p.shape.message, warning}
	case p.Derived == nil || p.Derived.DeletionTimestamp != nil || !p.shape.headless && len(p.addresses()) == 0:
		return report{typ, metav1.ConditionFalse, pending, "waiting for the address of Service " + p.derived, notice}
	}
	return report{typ, metav1.ConditionTrue, string(mcs.ServiceImportReasonReady), p.servedBy(), notice}
}

// local says whether the consumer itself exports an endpoint that is on a node, or may do so.
func (p *pass) local() bool {
	if p.Unsure[p.Cluster] {
		return true
	}
	for i := range p.Sources {
		if p.Sources[i].Cluster != p.Cluster || p.Sources[i].Withdrawn {
			continue
		}
		for _, s := range p.Sources[i].Slices {
			for n := range s.Endpoints {
				if s.Endpoints[n].NodeName != nil {
					return true
				}
			}
		}
	}
	return false
}
