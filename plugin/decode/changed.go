package decode

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ChangeTime returns when an object changed: what caused the change, if the object says so (Kubernetes "DNS programming
// latency" SLI), or else when it was written, to the second.
func ChangeTime(object metav1.Object) (changed time.Time) {
	if text, ok := object.GetAnnotations()[corev1.EndpointsLastChangeTriggerTime]; ok {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return t
		}
	}
	for _, f := range object.GetManagedFields() {
		if f.Time != nil && f.Time.After(changed) {
			changed = f.Time.Time
		}
	}
	return changed
}
