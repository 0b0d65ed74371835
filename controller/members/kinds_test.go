package members

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// TestGroups_X2: a label that names no object, the empty one too, makes no key.
func TestGroups_X2(t *testing.T) {
	for label, want := range map[string]bool{"cart": true, "a.b": true, "": false, "A": false, "a_b": false} {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x", Labels: map[string]string{mcsapi.LabelServiceName: label}}}
		if _, ok := byService(s); ok != want {
			t.Errorf("label %q makes a key: %v", label, ok)
		}
	}
	if _, ok := byService(&discoveryv1.EndpointSlice{}); ok {
		t.Error("no label makes a key")
	}
}
