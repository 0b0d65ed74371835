// Package rules decides which Services are exported because a rule says so (SPEC P1).
//
// A rule is a label selector: of the controller's flag, for every namespace, or of a namespace's annotation, for that one in
// place of the flag's. What a rule exports is an ordinary ServiceExport with labels of ours, which the Service owns. Exports
// that people made are never touched, and one that loses our labels is a person's from then on (SPEC X5).
//
// The package is pure: it knows no client, context, clock or logger.
package rules

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Parse returns the selector that a flag or annotation holds; an empty one selects nothing, as no rule does.
func Parse(text string) (labels.Selector, error) {
	if len(text) > keep.MaxSelector {
		return nil, fmt.Errorf("a label selector of more than %d bytes", keep.MaxSelector) // how long it was is not kept
	}
	if strings.TrimSpace(text) == "" {
		return labels.Nothing(), nil
	}
	selector, err := labels.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a label selector, such as app=web,tier!=test: %s", excerpt.Of(text, 200), excerpt.Of(err.Error(), 200))
	}
	return selector, nil
}

// Labels returns the labels that a selector asks for, sorted.
func Labels(selector labels.Selector) []string {
	var keys []string
	requirements, _ := selector.Requirements()
	for i := range requirements {
		keys = append(keys, requirements[i].Key())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Rules are those of one clusterset.
type Rules struct {
	// ClusterSet is the name that what is made carries (SPEC X5).
	ClusterSet string
	// Everywhere selects Services of every namespace that has no rule of its own, but those of Kubernetes (SPEC X3).
	Everywhere labels.Selector
}

// For returns the selector of a namespace. An annotation that is none is an error: it says nothing, neither that something is
// exported nor that it is not.
func (r Rules) For(ns *corev1.Namespace) (labels.Selector, error) {
	if text, ok := ns.Annotations[mcsapi.AnnotationExportSelector]; ok {
		selector, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("annotation %s of namespace %s: %w", mcsapi.AnnotationExportSelector, ns.Name, err)
		}
		return selector, nil
	}
	if strings.HasPrefix(ns.Name, "kube-") {
		return labels.Nothing(), nil
	}
	return r.Everywhere, nil
}

// Verdict is what is to be done about one name.
type Verdict string

// The verdicts.
const (
	Leave  Verdict = "leave"
	Create Verdict = "create"
	Delete Verdict = "delete"
)

// Decide says what is to be done about a name, and why: whether its Service, nil if there is none, in a namespace whose rule is
// selector is to be exported, while export, nil if there is none, is what there is. That a Service is not there is no reason to delete its
// export, which goes with it by its owner reference.
func (r Rules) Decide(ns *corev1.Namespace, selector labels.Selector, service *corev1.Service, export *mcs.ServiceExport) (Verdict, string) {
	if ns == nil || service == nil || export != nil && !r.Made(export) {
		return Leave, ""
	}
	why := excludes(ns, selector, service)
	gone := ns.DeletionTimestamp != nil || service.DeletionTimestamp != nil
	switch {
	case gone:
		return Leave, ""
	case why == "" && export == nil:
		return Create, "the rule selects Service " + service.Name
	case why != "" && export != nil && export.DeletionTimestamp == nil:
		return Delete, why
	}
	return Leave, ""
}

// excludes says why the Service is not exported by rule; "" if it is.
func excludes(ns *corev1.Namespace, selector labels.Selector, service *corev1.Service) string {
	_, derived := service.Labels[mcsapi.LabelClusterSet]
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return "a Service of type ExternalName has no endpoints to export"
	case derived:
		return "the Service is itself derived from an import"
	case ns.Name == metav1.NamespaceDefault && service.Name == "kubernetes":
		return "Service default/kubernetes is the API server of its own cluster"
	case !selector.Matches(labels.Set(service.Labels)):
		return "the rule does not select Service " + service.Name
	}
	return ""
}

// Made says whether the export was made by a rule of this clusterset, and is not a person's since.
func (r Rules) Made(export *mcs.ServiceExport) bool {
	return export != nil && mcsapi.MadeByRule(export.Labels) && export.Labels[mcsapi.LabelClusterSet] == r.ClusterSet
}

// Export returns the ServiceExport of a Service. It belongs to the Service, but holds up no deletion of it: that would take a
// right on its finalizers.
func (r Rules) Export(service *corev1.Service) *mcs.ServiceExport {
	return &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{
		Namespace: service.Namespace, Name: service.Name,
		Labels: map[string]string{mcsapi.LabelByRule: "true", mcsapi.LabelClusterSet: r.ClusterSet},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Service", Name: service.Name, UID: service.UID,
		}},
	}}
}
