package decode

import (
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestChangeTime: programming latency begins when the object says that its cause changed, else when it was written.
func TestChangeTime(t *testing.T) {
	cause := time.Date(2026, 5, 1, 12, 0, 0, 250e6, time.UTC)
	written := metav1.NewTime(cause.Add(time.Second).Truncate(time.Second))
	earlier := metav1.NewTime(cause.Add(-time.Hour))
	object := &discoveryv1.EndpointSlice{}
	if !ChangeTime(object).IsZero() {
		t.Error("it says nothing")
	}
	object.ManagedFields = []metav1.ManagedFieldsEntry{{Time: &written}, {Time: &earlier}, {}}
	if got := ChangeTime(object); !got.Equal(written.Time) {
		t.Errorf("%s", got)
	}
	object.Annotations = map[string]string{"endpoints.kubernetes.io/last-change-trigger-time": "nonsense"}
	if got := ChangeTime(object); !got.Equal(written.Time) {
		t.Errorf("%s", got)
	}
	object.Annotations["endpoints.kubernetes.io/last-change-trigger-time"] = cause.Format(time.RFC3339Nano)
	if got := ChangeTime(object); !got.Equal(cause) {
		t.Errorf("%s", got)
	}
}
