package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// createImport makes the automatic import, without addresses, which come with the derived Service (SPEC I2, I8).
func (p *pass) createImport() Action {
	labels, annotations, _ := p.metadata(&mcs.ServiceImport{}, true)
	i := &mcs.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Key.Namespace, Name: p.Key.Name, Labels: labels, Annotations: annotations},
		Spec:       mcs.ServiceImportSpec{Type: p.Service.Type(), Ports: importPorts(p.Service.Ports)},
	}
	if !p.Drops["spec.ipFamilies"] {
		i.Spec.IPFamilies = p.importFamilies()
	}
	for n := range scalars {
		f := &scalars[n]
		if want := f.want(&p.Service.Service); want != "" && !p.Drops[f.path()] {
			f.set(&i.Spec, want)
		}
	}
	return Action{Verb: Create, Object: i, Reason: "exported by " + strings.Join(few(p.Service.Clusters), ", ")}
}

// metadata are the labels and annotations that the import should have, and what was filled in before.
func (p *pass) metadata(i *mcs.ServiceImport, automatic bool) (labels, annotations map[string]string, before filled) {
	before = filledOf(i)
	after := filled{Spec: before.Spec}
	var global merge.Result
	if p.Service != nil {
		global = *p.Service
	}
	labels, after.Labels = export(i.Labels, global.Labels, before.Labels, !automatic)
	annotations, after.Annotations = export(i.Annotations, global.Annotations, before.Annotations, !automatic)
	switch {
	case automatic:
		labels[mcsapi.LabelAutomatic], labels[mcsapi.LabelClusterSet] = "true", p.ClusterSet
		after.Spec = nil
	case p.Service == nil:
		after.Claimed = before.Claimed && p.release(annotations)
	default:
		delete(labels, mcsapi.LabelClusterSet) // it was handed over to a person
		after.Claimed = before.Claimed || i.Annotations[mcsapi.AnnotationClusterSet] != p.ClusterSet
		annotations[mcsapi.AnnotationClusterSet] = p.ClusterSet
		after.Spec = p.fill(i)
	}
	delete(annotations, mcsapi.AnnotationExports)
	if p.Service != nil {
		annotations[mcsapi.AnnotationExports] = remember(p.Service.Exports)
	}
	delete(annotations, mcsapi.AnnotationDerivedService)
	if p.shape.served {
		annotations[mcsapi.AnnotationDerivedService] = p.derived
	}
	if !p.Drops["status.conditions"] {
		delete(annotations, mcsapi.AnnotationConditions)
	}
	put(annotations, mcsapi.AnnotationFilled, after.String())
	return labels, annotations, before
}

// release gives up the claim that this controller laid to a person's import which it serves no more, so that another
// clusterset can serve it; but only after the status was cleared, because that would look like another's then. It reports
// whether the claim still stands.
func (p *pass) release(annotations map[string]string) bool {
	if len(p.Import.Status.Clusters) > 0 {
		return true
	}
	delete(annotations, mcsapi.AnnotationClusterSet)
	return false
}

func put(m map[string]string, key, value string) {
	if value == "" {
		delete(m, key)
		return
	}
	m[key] = value
}

// fill says which fields of a person's import are filled in from the exports, with their values: those that were unset,
// and those that still are as they were filled in before (SPEC I3).
func (p *pass) fill(i *mcs.ServiceImport) map[string]string {
	before := filledOf(i)
	after := make(map[string]string)
	for n := range scalars {
		f := &scalars[n]
		held, want := f.held(&i.Spec), f.want(&p.Service.Service)
		if (held == "" || held == before.Spec[f.name]) && want != "" && !p.Drops[f.path()] {
			after[f.name] = want
		}
	}
	if p.listed(before) == nil && len(p.Service.Ports) > 0 {
		after["ports"] = fingerprint(importPorts(p.Service.Ports))
	}
	if len(after) == 0 {
		return nil
	}
	return after
}

// patchImport brings the import's metadata and spec to what they should be. Unless settled, which is when derived Service
// and slices are in place, addresses are only taken away, not given.
func (p *pass) patchImport(settled bool) (Action, bool) {
	i, automatic := p.Import, p.automatic(p.Import)
	labels, annotations, before := p.metadata(i, automatic)
	spec := make(map[string]any)
	if p.Service != nil {
		p.patchScalars(spec, automatic, before)
		if want := p.Service.Type(); i.Spec.Type != want && (automatic || i.Spec.Type == "") {
			spec["type"] = want
		}
		if want := importPorts(p.Service.Ports); (automatic || p.listed(before) == nil) && (!samePorts(i.Spec.Ports, want) || i.Spec.Ports == nil) {
			spec["ports"] = want
		}
	}
	if !p.Drops["spec.ipFamilies"] && !slices.Equal(i.Spec.IPFamilies, p.importFamilies()) {
		spec["ipFamilies"] = orNull(p.importFamilies())
	}
	if ips := p.addresses(); (settled || p.stale()) && !slices.Equal(i.Spec.IPs, ips) {
		spec["ips"] = orNull(ips)
	}
	metadata := make(map[string]any)
	if d := difference(i.Labels, labels); len(d) > 0 {
		metadata["labels"] = d
	}
	if d := difference(i.Annotations, annotations); len(d) > 0 {
		metadata["annotations"] = d
	}
	if len(spec) == 0 && len(metadata) == 0 {
		return Action{}, false
	}
	return Action{Verb: Patch, Object: i, Patch: mergePatch(i, metadata, "spec", spec), Reason: changed(metadata, spec), Events: slices.Concat(p.precedence(), p.replacement(), p.otherAddress())}, true
}

// patchScalars puts those scalar fields into the patch that are the controller's to set and differ.
func (p *pass) patchScalars(spec map[string]any, automatic bool, before filled) {
	for n := range scalars {
		f := &scalars[n]
		held, want := f.held(&p.Import.Spec), f.want(&p.Service.Service)
		ours := automatic || held == "" || held == before.Spec[f.name]
		switch {
		case p.Drops[f.path()] || !ours || held == want:
		case want == "":
			spec[f.name] = nil
		default:
			spec[f.name] = f.json(want)
		}
	}
}

// importFamilies are the import's ipFamilies, none where nothing is served.
func (p *pass) importFamilies() []corev1.IPFamily {
	if !p.shape.served {
		return nil
	}
	return p.shape.families
}

// wasServed says that the import got, or was about to get, a derived Service from this controller.
func (p *pass) wasServed() bool {
	return p.Import.Annotations[mcsapi.AnnotationDerivedService] == p.derived
}

// stale says that the import hands out an address that nothing serves, or nothing will.
func (p *pass) stale() bool {
	good := p.addresses()
	if len(good) == 0 {
		good = p.reserved()
	}
	return slices.ContainsFunc(p.Import.Spec.IPs, func(ip string) bool { return !slices.Contains(good, ip) })
}

// precedence announces that another cluster's export became the oldest while the one that was is still there (SPEC M1).
func (p *pass) precedence() []Event {
	before, err := Remembered(p.Import)
	if err != nil || len(before) == 0 || p.Service == nil {
		return nil
	}
	was, is := before[0].Cluster, p.Service.Clusters[0]
	if was == is || !slices.Contains(p.Service.Clusters, was) {
		return nil
	}
	winner, counts := &p.Service.Exports[0], "created"
	if !winner.Since.IsZero() {
		counts = "first seen"
	}
	return announce(PrecedenceChanged, "the export of %s, %s %s, is older than that of %s: its properties win from now on",
		is, counts, winner.Age().Format("2006-01-02 15:04:05 MST"), was)
}

// replacement announces that the derived Service is made anew, which costs the import its addresses.
func (p *pass) replacement() []Event {
	if !p.shape.served || p.replaces() == "" {
		return nil
	}
	return announce(DerivedServiceReplaced, "Service %s is made anew: %s", p.derived, p.replaces())
}

// otherAddress announces that the import loses its address to something else, which took it while the derived Service was
// not there.
func (p *pass) otherAddress() []Event {
	if !p.AddressLost || len(p.Import.Spec.IPs) == 0 || len(p.addresses()) > 0 {
		return nil
	}
	return announce(AddressLost, "address %s was taken by something else while Service %s was away, which gets another",
		strings.Join(p.Import.Spec.IPs, ", "), p.derived)
}

// announce is the Event of what no condition has.
func announce(reason EventReason, format string, args ...any) []Event {
	return []Event{{Warning: true, Announces: true, Reason: reason, Message: fmt.Sprintf(format, args...)}}
}

// changed says for people what a patch of an import is about.
func changed(metadata, spec map[string]any) string {
	var what []string
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		what = append(what, slices.Sorted(maps.Keys(metadata[k].(map[string]any)))...)
	}
	for _, k := range slices.Sorted(maps.Keys(spec)) {
		what = append(what, "spec."+k)
	}
	return "to set " + strings.Join(few(what), ", ")
}
