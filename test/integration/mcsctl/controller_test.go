package mcsctl

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestNoController_X8: status, check and explain report that no controller runs where members or imports need one, since when, and
// what to do; a controller outside of the cluster is known by its Leases.
func TestNoController_X8(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true},
		controlplane.Options{Name: "c2", ControllerManager: true, ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	at := func(args ...string) []string { return append(args, "--kubeconfig", kubeconfig, "--context", "c2") }
	c2.corefile(t, balanced)
	mcsctl(t, at("status")...).wants(t, 0, "none is known to run")
	mcsctl(t, at("check")...).wants(t, 1, "none runs, and none is needed") // CoreDNS has no permission here

	mcsctl(t, at("join", "c1", "--from", "c1", "--pod-cidrs", "10.1.0.0/16")...).wants(t, 0, "c1 is a member now")
	namespace(t, "shop", c1, c2)
	c1.service(t, "shop", "cart", "10.1.0.5")
	c1.export(t, "shop", "cart")
	never := "no controller runs (no Lease of one is in namespace mcs-system), although members are registered"
	mcsctl(t, at("status")...).wants(t, 1, never)
	mcsctl(t, at("check")...).wants(t, 1, never)
	mcsctl(t, at("explain", "cart.shop", "--no-dns")...).golden(t, "explain-no-controller")

	leases := c2.kube.CoordinationV1().Leases(system)
	_, err := leases.Create(t.Context(), &coordinationv1.Lease{ // of a controller whose machine went away
		ObjectMeta: metav1.ObjectMeta{Name: "mcs-controller-blue"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To("x_1"), LeaseDurationSeconds: ptr.To[int32](12),
			RenewTime: ptr.To(metav1.NewMicroTime(time.Now().Add(-5 * time.Minute)))},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	mcsctl(t, at("status")...).golden(t, "status-no-controller")
	mcsctl(t, at("status", "--namespace", "elsewhere")...).wants(t, 0, "all is well") // nobody is registered there

	run(t, c2, true)
	eventuallyWell(t, at("status")...).wants(t, 0, "runs elsewhere, leader not known here")
	eventuallyWell(t, at("explain", "cart.shop", "--no-dns")...)
	mcsctl(t, at("check")...).wants(t, 1, "a controller that runs elsewhere renewed its Leases in namespace mcs-system")
}
