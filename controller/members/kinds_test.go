package members

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

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

// TestDoorKeeps_X6: by the one door where exports and Services enter the stores only what is read comes in; labels of a derived Service
// are no way around it in a cluster that does not import.
func TestDoorKeeps_X6(t *testing.T) {
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	big := map[string]string{"x": strings.Repeat("x", 1<<10)}
	export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x", UID: "1", Annotations: big}}
	exportKind(nil, "").Trim(export)
	if export.UID != "1" || len(export.Annotations) > 0 {
		t.Errorf("of an export %v is kept", export)
	}
	for consumer, want := range map[bool]int{false: 0, true: 1} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x", Annotations: big, Labels: map[string]string{mcsapi.LabelServiceName: "x"}}}
		serviceKind(kube, consumer).Trim(s)
		if len(s.Annotations) != want || s.Labels[mcsapi.LabelServiceName] != "x" {
			t.Errorf("consumer %v: of a Service that looks derived %v is kept", consumer, s)
		}
	}
}
