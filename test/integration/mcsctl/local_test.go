package mcsctl

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestJoinLocal: where the controller runs in pods, join refuses an address that is for programs on this machine only, before it
// creates anything, and names the one that the API server has on its own network.
func TestJoinLocal(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", AdvertiseAddress: "172.18.0.3"},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	c2.controllerInPods(t)
	join := func(flags ...string) outcome {
		t.Helper()
		return mcsctl(t, append([]string{"join", "c1", "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c2"}, flags...)...)
	}
	var port string
	kit.Eventually(t, "the API server says where it is", func() error {
		o := join()
		_, after, said := strings.Cut(o.err, "want --server https://172.18.0.3:")
		if port, _, _ = strings.Cut(after, ","); !said {
			return errText(o.err)
		}
		return nil
	})
	if !strings.HasSuffix(c1.URL(), ":"+port) {
		t.Errorf("the port is %s, that of %s is wanted", port, c1.URL())
	}
	join("--dry-run").wants(t, 1, "is an address of this machine only, and the controller runs in a pod")
	join("--server", "https://localhost:1", "--unchecked").wants(t, 1, "https://localhost:1 is an address of this machine only")
	mcsctl(t, "join", "c2", "--from", "c2", "--kubeconfig", kubeconfig, "--context", "c2").wants(t, 1, "want --server https://kubernetes.default.svc --unchecked")
	if _, err := c1.kube.CoreV1().Namespaces().Get(t.Context(), system, getOptions); !apierrors.IsNotFound(err) {
		t.Errorf("something was created: %v", err)
	}
}

// controllerInPods makes the Deployment of the controller, in the fleet role unless args say otherwise, without pods. It replaces one
// that is there.
func (c *cluster) controllerInPods(t *testing.T, args ...string) {
	t.Helper()
	err := c.kube.AppsV1().Deployments(system).Delete(t.Context(), "mcs-controller", metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		kit.Must(t, err)
	}
	namespace(t, system, c)
	labels := map[string]string{"app.kubernetes.io/name": "mcs-controller"}
	_, err = c.kube.AppsV1().Deployments(system).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "mcs-controller", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "mcs-controller", Image: "mcs-controller", Args: args}}},
			},
		},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
}
