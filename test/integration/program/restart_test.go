package program

import (
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestRestartedContainer_L14 holds that a leader whose container is killed and started again, in the same pod, takes up its
// own Lease at once: neither it nor a replica that stands by has to wait until the Lease runs out.
func TestRestartedContainer_L14(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	kit.Must(t, c.InstallCRDs(t.Context()))
	namespace(t, c)
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	lease := func() (holder string, transitions int32) {
		l, err := kube.CoordinationV1().Leases("mcs").Get(t.Context(), "mcs-controller-default", metav1.GetOptions{})
		kit.Must(t, err)
		return *l.Spec.HolderIdentity, *l.Spec.LeaseTransitions
	}
	args := []string{"--kubeconfig", c.Kubeconfig(), "--namespace", "mcs", "--cluster", "c1=" + c.Kubeconfig()}
	pod := []string{"POD_UID=4d7c2a52-7c1a-4a55-9a43-3f0d3d9f7a10"}
	first := startIn(t, "the first", pod, args...)
	kit.TrueWithin(t, 30*time.Second, "it leads", first.leads)
	other := startIn(t, "the other", []string{"POD_UID=0b5ad0a5-5b2f-4f39-8f0e-6a2f7f1f3b11"}, args...)
	kit.TrueWithin(t, 30*time.Second, "the other stands by", func() bool {
		return other.metric(`mcs_controller_member_synced{cluster="c1",role="provider"} 1`)
	})
	holder, transitions := lease()

	first.signal(syscall.SIGKILL)
	<-first.done
	killed := time.Now()
	again := startIn(t, "the restarted", pod, args...)
	kit.TrueWithin(t, 60*time.Second, "it leads again", func() bool { return again.leads() || other.leads() })
	t.Logf("led again %v after it was killed", time.Since(killed).Round(time.Millisecond))
	if now, n := lease(); now != holder || n != transitions || other.leads() {
		t.Errorf("the Lease is held by %s after %d transitions; it was %s after %d", now, n, holder, transitions)
	}
}
