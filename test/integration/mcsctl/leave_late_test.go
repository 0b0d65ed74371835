package mcsctl

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestLeaveLate_X8: whatever was taken away first, the controller, the registration, the identity or the home, leave goes on with what
// is left, and says what stays and how to delete it.
func TestLeaveLate_X8(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	at := func(args ...string) outcome {
		t.Helper()
		return mcsctl(t, append(args, "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c2")...)
	}
	identity := func(there bool) {
		t.Helper()
		_, err := c1.kube.CoreV1().ServiceAccounts(system).Get(t.Context(), "mcs-provider", getOptions)
		if err != nil && !apierrors.IsNotFound(err) || (err == nil) != there {
			t.Errorf("the identity is there: %v (%v), want %v", err == nil, err, there)
		}
	}
	namespace(t, "shop", c2)
	at("join", "c1", "--pod-cidrs", "10.1.0.0/16").wants(t, 0, "c1 is a member now")
	left := &discoveryv1.EndpointSlice{ // by a controller that is gone
		ObjectMeta:  metav1.ObjectMeta{Name: "cart-1", Labels: map[string]string{mcsapi.LabelSourceCluster: "c1", mcsapi.LabelClusterSet: "default"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.5"}}},
	}
	_, err := c2.kube.DiscoveryV1().EndpointSlices("shop").Create(t.Context(), left, metav1.CreateOptions{})
	kit.Must(t, err)

	mcsctl(t, "leave", "c1", "--from", "nowhere", "--kubeconfig", kubeconfig, "--context", "c2").wants(t, 2, "no context \"nowhere\"")
	at("leave", "typo").wants(t, 1, "context c1 is registered as c1: mcsctl leave c1 --kubeconfig "+kubeconfig+" --context c2 --from c1")
	identity(true)
	kit.Must(t, c2.kube.CoreV1().Secrets(system).Delete(t.Context(), "c1", metav1.DeleteOptions{}))
	unreachable := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "c3", Labels: map[string]string{registration.LabelMember: "c3"}}}
	_, err = c2.kube.CoreV1().Secrets(system).Create(t.Context(), unreachable, metav1.CreateOptions{})
	kit.Must(t, err)
	at("leave", "c1").wants(t, 1, "it can't be compared with [c3]; if it is none of them, delete its identity: kubectl delete --ignore-not-found -n mcs-system clusterrolebinding/multicluster:provider-read")
	identity(true)
	kit.Must(t, c2.kube.CoreV1().Secrets(system).Delete(t.Context(), "c3", metav1.DeleteOptions{}))
	mcsctl(t, "leave", "c1", "--kubeconfig", kubeconfig, "--context", "c2").wants(t, 1, "to delete the identity that it may have left behind, add --from")
	at("leave", "c1").golden(t, "leave-unregistered")
	identity(false)

	at("join", "c1", "--pod-cidrs", "10.1.0.0/16").wants(t, 0, "c1 is a member now")
	kit.Must(t, c1.kube.CoreV1().ServiceAccounts(system).Delete(t.Context(), "mcs-provider", metav1.DeleteOptions{}))
	at("leave", "c1").golden(t, "leave-no-controller")
	at("leave", "c1").wants(t, 0, "there is no identity mcs-system/mcs-provider (any longer)")

	at("join", "c1", "--pod-cidrs", "10.1.0.0/16").wants(t, 0, "c1 is a member now")
	kit.Must(t, c2.StopAPIServer())
	mcsctl(t, "leave", "c1", "--from", "c1", "--kubeconfig", kubeconfig, "--contexts", "c1,c2").wants(t, 2, "want --context instead of --contexts and --cluster")
	at("leave", "c1").wants(t, 2, "if that cluster is gone, delete the identity that c1 left in context c1: kubectl delete --ignore-not-found -n mcs-system clusterrolebinding/multicluster:provider-read")
}
