package controller

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestWhatNotFoundSays_L6: a 404 may be about the namespace, the object, or a kind that is not served, which says nothing of
// either.
func TestWhatNotFoundSays_L6(t *testing.T) {
	terminating := apierrors.NewForbidden(corev1.Resource("services"), "web", nil)
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	imports := schema.GroupResource{Group: "multicluster.x-k8s.io", Resource: "serviceimports"}
	for name, c := range map[string]struct {
		err                   error
		noNamespace, unserved bool
	}{
		"the namespace is missing":     {apierrors.NewNotFound(corev1.Resource("namespaces"), "shop"), true, false},
		"the namespace is terminating": {terminating, true, false},
		"the object is missing":        {apierrors.NewNotFound(imports, "web"), false, false},
		"the kind is not served": {apierrors.NewGenericServerResponse(
			http.StatusNotFound, http.MethodPost, imports, "", "404 page not found", 0, true), false, true},
	} {
		if noNamespace(c.err) != c.noNamespace || unserved(c.err) != c.unserved {
			t.Errorf("%s: no namespace %t, unserved %t", name, noNamespace(c.err), unserved(c.err))
		}
	}
}
