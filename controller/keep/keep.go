// Package keep decides what of a member's objects stays in memory.
//
// A member's API server decides how large its objects are, up to what one answer may hold, and how many there are. So what enters a
// store is made anew from the fields that merge, plan and rules read, and is bounded. An object that is larger even so is left out:
// a stub stays, with its name and version and the reason ([Refused]), so that the export is refused with that reason and its
// absence is not taken for a deletion (SPEC X6, L6).
//
// The package knows nothing of stores, and does not judge values: that is what accept and merge do. The functions don't
// change their argument.
package keep

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

const (
	// MaxBytes bounds the texts of one object that are kept, and again the conditions of an export.
	MaxBytes = 64 << 10
	// MaxValue bounds one exported label or annotation, and so all of them together.
	MaxValue = 32 << 10
	// MaxPorts is how many ports an exported Service may have.
	MaxPorts = 1000
	// MaxDerived bounds a derived Service, as protocol buffers, which is kept as a whole. One of 1000 ports and all annotations that an API
	// server takes has less.
	MaxDerived = 512 << 10
	// MaxUID bounds a UID, and a resourceVersion.
	MaxUID = 128

	maxLabel    = 63
	maxFamilies = 9 // one more than are looked at
)

// Marks of a stub. They are annotations that no API server would take, and those of a member never stay.
const (
	markRefused = "kept:refused"
	markPorts   = "kept:ports"
	markStatus  = "kept:no-status"
)

// tooLong stands for every value that is refused for its length, whatever it is: it is refused just so, and takes no memory.
var tooLong = strings.Repeat("x", MaxValue+1)

// Refused says why an object is left out; "" if it is not.
func Refused(o metav1.Object) string { return o.GetAnnotations()[markRefused] }

// Ports returns how many ports a Service has; those of one with too many are not kept.
func Ports(s *corev1.Service) int {
	if n, err := strconv.Atoi(s.Annotations[markPorts]); err == nil {
		return n
	}
	return len(s.Spec.Ports)
}

// Status reports whether the conditions of an export are kept. They are written as a list, so without those of other writers none
// must be.
func Status(e *mcs.ServiceExport) bool { return e.Annotations[markStatus] == "" }

// Export returns what is read of a ServiceExport; nil for nil.
func Export(e *mcs.ServiceExport) *mcs.ServiceExport {
	if e == nil {
		return nil
	}
	kept := &mcs.ServiceExport{ObjectMeta: identity(&e.ObjectMeta, mcsapi.LabelByRule, mcsapi.LabelClusterSet)}
	for _, choice := range []string{mcsapi.AnnotationConsumers, mcsapi.AnnotationPrefer} {
		if value, ok := e.Annotations[choice]; ok {
			mark(&kept.ObjectMeta, choice, upTo(MaxValue, value))
		}
	}
	stub := *kept // names its consumers still, if they are few, or everybody would be told of it
	kept.Spec.ExportedLabels = values(e.Spec.ExportedLabels, maxLabel)
	kept.Spec.ExportedAnnotations = values(e.Spec.ExportedAnnotations, MaxValue)
	why := tooLarge("labels and annotations", size(kept.Annotations, MaxValue)+size(kept.Spec.ExportedLabels, maxLabel)+size(kept.Spec.ExportedAnnotations, MaxValue))
	conditions := 0
	for i := range e.Status.Conditions {
		c := &e.Status.Conditions[i]
		conditions += 64 + len(c.Type) + len(c.Status) + len(c.Reason) + len(c.Message)
	}
	told := tooLarge("conditions", conditions)
	if why == "" && told == "" {
		kept.Status.Conditions = append(kept.Status.Conditions, e.Status.Conditions...)
		return kept
	}
	for key, value := range stub.Annotations {
		if len(value) > maxLabel {
			stub.Annotations[key] = tooLong // which takes no memory, and names nobody; see merge.Named
		}
	}
	if told == "" {
		stub.Status.Conditions = append(stub.Status.Conditions, e.Status.Conditions...)
	} else {
		mark(&stub.ObjectMeta, markStatus, "true")
		if why == "" {
			why = told
		}
	}
	mark(&stub.ObjectMeta, markRefused, why)
	return &stub
}

// Derived reports whether a Service has the labels of one that was made of an import.
func Derived(s *corev1.Service) bool {
	_, of := mcsapi.ServiceOf(s.Labels)
	_, in := s.Labels[mcsapi.LabelClusterSet]
	return of || in
}

// WholeService returns a Service of an importing cluster: a derived one with its metadata and spec, which are compared and updated as a
// whole, without managed fields and status; of every other what [Service] returns.
func WholeService(s *corev1.Service) *corev1.Service {
	if s == nil || !Derived(s) {
		return Service(s)
	}
	kept := &corev1.Service{ObjectMeta: writable(&s.ObjectMeta), Spec: s.Spec}
	if len(kept.Spec.Ports) > MaxPorts || kept.Size() > MaxDerived {
		return Service(s)
	}
	return kept
}

// Service returns what is read of a Service that may be exported, or that has the place or the address of another; nil for nil.
func Service(s *corev1.Service) *corev1.Service {
	if s == nil {
		return nil
	}
	kept := &corev1.Service{ObjectMeta: identity(&s.ObjectMeta, mcsapi.LabelClusterSet, mcsapi.LabelServiceName, mcsapi.LabelReserve)}
	for i := range s.OwnerReferences { // a derived Service is known by it, where its label is gone
		if r := &s.OwnerReferences[i]; r.Kind == mcs.ServiceImportKindName && len(r.APIVersion)+len(r.Name)+len(r.UID) < MaxBytes/16 && len(kept.OwnerReferences) < 8 {
			kept.OwnerReferences = append(kept.OwnerReferences, *r)
		}
	}
	stub := *kept
	from, to := &s.Spec, &kept.Spec
	to.Type, to.ClusterIP, to.SessionAffinity = from.Type, from.ClusterIP, from.SessionAffinity
	to.ClusterIPs = first(2, from.ClusterIPs)
	to.IPFamilies = first(maxFamilies, from.IPFamilies)
	to.InternalTrafficPolicy, to.TrafficDistribution = from.InternalTrafficPolicy, from.TrafficDistribution
	if c := from.SessionAffinityConfig; c != nil && c.ClientIP != nil {
		to.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: c.ClientIP.TimeoutSeconds}}
	}
	if len(from.Ports) > MaxPorts {
		mark(&kept.ObjectMeta, markPorts, strconv.Itoa(len(from.Ports)))
	} else {
		for i := range from.Ports {
			p := &from.Ports[i]
			to.Ports = append(to.Ports, corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port})
		}
	}
	if why := tooLarge("ports and properties", texts(to)); why != "" {
		mark(&stub.ObjectMeta, markRefused, why)
		return &stub
	}
	return kept
}

// texts returns the size of the texts of a Service.
func texts(spec *corev1.ServiceSpec) int {
	n := len(spec.Type) + len(spec.ClusterIP) + len(spec.SessionAffinity)
	for _, ip := range spec.ClusterIPs {
		n += len(ip)
	}
	for _, f := range spec.IPFamilies {
		n += len(f)
	}
	if p := spec.InternalTrafficPolicy; p != nil {
		n += len(*p)
	}
	if d := spec.TrafficDistribution; d != nil {
		n += len(*d)
	}
	for i := range spec.Ports {
		p := &spec.Ports[i]
		n += len(p.Name)
		if p.Protocol != corev1.ProtocolTCP {
			n += len(p.Protocol)
		}
		if p.AppProtocol != nil {
			n += len(*p.AppProtocol)
		}
	}
	return n
}

// identity is what tells an object and its version, with some of its labels. The name was looked at before.
func identity(m *metav1.ObjectMeta, labels ...string) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, ResourceVersion: brief(m.ResourceVersion), UID: types.UID(brief(string(m.UID))),
		Generation: m.Generation, CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp,
	}
	for _, label := range labels {
		if value, ok := m.Labels[label]; ok {
			if kept.Labels == nil {
				kept.Labels = make(map[string]string, len(labels))
			}
			kept.Labels[label] = upTo(maxLabel, value)
		}
	}
	return kept
}

// writable is the metadata of an object that is updated as a whole: what an update must carry. Everything in it is weighed.
func writable(m *metav1.ObjectMeta) metav1.ObjectMeta {
	kept := identity(m)
	kept.GenerateName, kept.DeletionGracePeriodSeconds = m.GenerateName, m.DeletionGracePeriodSeconds
	kept.Labels, kept.Annotations = m.Labels, unmarked(m.Annotations)
	kept.OwnerReferences, kept.Finalizers = m.OwnerReferences, m.Finalizers
	return kept
}

func brief(text string) string {
	if len(text) > MaxUID {
		return ""
	}
	return text
}

// upTo returns the value, or another that is one byte too long.
func upTo(most int, value string) string {
	if len(value) > most {
		return tooLong[:most+1]
	}
	return value
}

func values(in map[string]string, most int) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for key, value := range in {
		out[key] = upTo(most, value)
	}
	return out
}

// size is what a map takes; a value of more than most bytes is not kept, and takes nothing.
func size(m map[string]string, most int) (n int) {
	for key, value := range m {
		n += len(key)
		if len(value) <= most {
			n += len(value)
		}
	}
	return n
}

func tooLarge(what string, bytes int) string {
	if bytes <= MaxBytes {
		return ""
	}
	return fmt.Sprintf("%d KiB of %s; want at most %d", (bytes+1<<10-1)>>10, what, MaxBytes>>10)
}

func first[T any](most int, list []T) []T { return append([]T(nil), list[:min(most, len(list))]...) }

func mark(m *metav1.ObjectMeta, key, value string) {
	if m.Annotations == nil {
		m.Annotations = make(map[string]string, 2)
	}
	m.Annotations[key] = value
}
