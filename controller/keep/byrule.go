package keep

import (
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
)

// MaxSelector bounds the text of a label selector of a rule, in bytes: fifty values of the longest there may be.
const MaxSelector = 4 << 10

// Ruled returns what is read of a Namespace to export by rule; nil for nil. A selector that is too long is kept as one that is too
// long.
func Ruled(n *corev1.Namespace) *corev1.Namespace {
	if n == nil {
		return nil
	}
	kept := &corev1.Namespace{ObjectMeta: identity(&n.ObjectMeta)}
	if value, ok := n.Annotations[mcsapi.AnnotationExportSelector]; ok {
		mark(&kept.ObjectMeta, mcsapi.AnnotationExportSelector, upTo(MaxSelector, value))
	}
	return kept
}

// Selected returns what is read of a Service to export it by a rule whose selector asks for some labels; nil for nil. By a rule that
// asks for others, nothing can be said of it.
func Selected(s *corev1.Service, labels []string) *corev1.Service {
	if s == nil {
		return nil
	}
	kept := &corev1.Service{ObjectMeta: identity(&s.ObjectMeta, append([]string{mcsapi.LabelClusterSet}, labels...)...)}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		kept.Spec.Type = corev1.ServiceTypeExternalName
	}
	return kept
}
