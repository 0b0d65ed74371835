package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
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
)

var importConditions = []string{string(mcs.ServiceImportConditionReady), ConditionMismatch, ConditionConflict, ConditionNoLocalEndpoints}

// patchStatus brings the import's status to what it should be, once everything else is.
func (p *pass) patchStatus() (Action, bool) {
	return p.writeStatus(p.reports())
}

func (p *pass) writeStatus(reports []report) (Action, bool) {
	held := &p.Import.Status
	status := make(map[string]any)
	if names := p.statusClusters(); !p.Drops["status.clusters"] && !slices.Equal(names, clusterNames(held)) {
		list := make([]mcs.ClusterStatus, len(names))
		for i, name := range names {
			list[i].Cluster = name
		}
		status["clusters"] = orNull(list)
	}
	if presence := p.presence(); !p.Drops["status.endpointSliceObjects"] && held.EndpointSliceObjects != presence {
		status["endpointSliceObjects"] = presence
	}
	var events []Event
	if !p.Drops["status.conditions"] {
		next, changes := conditions(held.Conditions, importConditions, reports, p.Import.Generation, p.now)
		if !sameConditions(held.Conditions, next) {
			status["conditions"], events = next, changes
		}
	}
	if len(status) == 0 {
		return Action{}, false
	}
	return Action{Verb: PatchStatus, Object: p.Import, Patch: mergePatch(p.Import, nil, "status", status), Reason: reports[0].message, Events: events}, true
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
		out = append(out, report{ConditionNoLocalEndpoints, metav1.ConditionTrue, "InternalTrafficPolicyLocal",
			"the exported Service has internalTrafficPolicy Local, which reaches only endpoints on the client's own node, and this cluster exports none", warning})
	}
	return out
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

// local says whether the consumer itself exports an endpoint that is on a node.
func (p *pass) local() bool {
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

// Blocked is the status write that says on the import why a write of the plan can't be made, such as a quota that refuses
// the derived Service; false if the import says so already, or is not ours to write. The condition goes with the next plan
// that succeeds.
func Blocked(c Consumer, w Wanted, h Held, message string, now Now) (Action, bool) {
	p := &pass{Consumer: c, Wanted: w, Held: h, now: now, derived: DerivedName(w.Key.Name)}
	if h.Import == nil || h.Import.DeletionTimestamp != nil || p.foreign(h.Import) != "" {
		return Action{}, false
	}
	p.shape = p.decide()
	reports := p.reports()
	reports[0] = report{string(mcs.ServiceImportConditionReady), metav1.ConditionFalse, string(mcs.ServiceImportReasonPending), message, warning}
	return p.writeStatus(reports)
}
