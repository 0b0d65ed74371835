package mcsctl

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// keeping is what somebody may who has permission to change Secrets, but not to delete them.
const keeping = `
- {apiGroups: ["", apps, apiextensions.k8s.io], resources: [secrets, namespaces, deployments, customresourcedefinitions], verbs: [get, list, patch]}
- {apiGroups: [multicluster.x-k8s.io], resources: ["*"], verbs: [get, list]}
`

// TestLeaveRefused_L6: a Secret that could not be deleted is not left marked as that of a member which leaves: otherwise the
// deletion of its namespace, later and by accident, would count as the member's leaving.
func TestLeaveRefused_L6(t *testing.T) {
	list, _ := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	keeper := c1.person(t, "keeper", keeping)
	namespace(t, system, c1)
	secrets := c1.kube.CoreV1().Secrets(system)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "c2", Labels: map[string]string{registration.LabelMember: "c2"}}}
	created, err := secrets.Create(t.Context(), s, metav1.CreateOptions{})
	kit.Must(t, err)

	mcsctl(t, "leave", "c2", "--kubeconfig", keeper).wants(t, 1, "annotation clusterset.dev/leaving, which announced that, was removed again")
	s, err = secrets.Get(t.Context(), s.Name, getOptions)
	kit.Must(t, err)
	if value, marked := s.Annotations[registration.AnnotationLeaving]; marked {
		t.Errorf("%s is still %q", registration.AnnotationLeaving, value)
	}
	if s.ResourceVersion == created.ResourceVersion {
		t.Error("the Secret was never marked, so the test proves nothing")
	}
	mcsctl(t, "leave", "c2", "--kubeconfig", c1.Kubeconfig()).wants(t, 0, "deleted Secret mcs-system/c2")
}
