package mcsctl

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestJoinItself: a hub may join as a member, whatever its context is called. A cluster whose controller has it as its own may not.
func TestJoinItself(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1", ControllerManager: true, PodCIDRs: []string{"10.1.0.0/16"}})
	c1 := list[0]
	join := func(id string) outcome {
		t.Helper()
		return mcsctl(t, "join", id, "--from", "c1", "--pod-cidrs", "10.1.0.0/16", "--server", "https://kubernetes.default.svc", "--unchecked", "--kubeconfig", kubeconfig, "--context", "c1")
	}
	mcsctl(t, "join", "c1", "--from", "c1", "--dry-run", "--kubeconfig", kubeconfig, "--context", "c1").wants(t, 0, "mcs-provider")
	c1.controllerInPods(t, "--self=c1")
	join("c1").golden(t, "join-own")
	c1.controllerInPods(t)
	join("hub").wants(t, 0, "hub is registered")
	join("hub").wants(t, 0, "hub is registered")
	if o := mcsctl(t, "status", "--kubeconfig", kubeconfig, "--context", "c1"); strings.Contains(o.out, "can't be reached") || !strings.Contains(o.out, "hub ") {
		t.Errorf("the hub is not known as the home:\n%s", o.out)
	}
	join("c1").wants(t, 1, "this is the cluster that is a member as hub already")
	mcsctl(t, "leave", "typo", "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c1").wants(t, 1, "context c1 is registered as hub: mcsctl leave hub")
}

// TestJoinMisfit_X2: join refuses ranges of endpoints in which nothing of the cluster lies, and warns of what lies outside.
func TestJoinMisfit_X2(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true, PodCIDRs: []string{"10.1.0.0/16"}},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1 := list[0]
	_, err := c1.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, metav1.CreateOptions{})
	kit.Must(t, err)
	kit.Eventually(t, "the node has a range", func() error {
		node, err := c1.kube.CoreV1().Nodes().Get(t.Context(), "n1", getOptions)
		if err == nil && len(node.Spec.PodCIDRs) == 0 {
			return errText("it has none")
		}
		return err
	})
	namespace(t, "shop", c1)
	pods := c1.kube.CoreV1().Pods("shop")
	kit.Eventually(t, "a pod", func() error {
		_, err := pods.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "web"},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "web", Image: "web"}}},
		}, metav1.CreateOptions{})
		return err
	})
	pod, err := pods.Get(t.Context(), "web", getOptions)
	kit.Must(t, err)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.1.0.5", PodIPs: []corev1.PodIP{{IP: "10.1.0.5"}}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	kit.Must(t, err)

	join := func(flags ...string) outcome {
		t.Helper()
		return mcsctl(t, append([]string{"join", "c1", "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c2"}, flags...)...)
	}
	join("--endpoint-cidrs", "10.9.0.0/16").golden(t, "join-misfit")
	join("--endpoint-cidrs", "10.1.0.0/28").wants(t, 0, "warning: c1: endpoint-cidrs 10.1.0.0/28 does not have all addresses of its pods: node n1 has 10.1.0.0/24 for its pods; the controller refuses endpoints there")
	join().wants(t, 0, "warning: c1: endpoint-cidrs 10.1.0.0/28 does not have all") // as registered
	if o := join("--endpoint-cidrs", "10.1.0.0/16"); o.code != 0 || strings.Contains(o.err, "does not have all") {
		t.Errorf("exit code %d\n%s", o.code, o.err)
	}
}
