package fleet

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestTakeover_L2_L7: endpoints that a leader withdrew stay out when another takes over while the provider is dead, though its
// caches hold them and its own grace period has only begun; those that were kept stay in; and all return with the provider.
func TestTakeover_L2_L7(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	_, lead, stop := replica(t, register(list...), nil, withdrawing)
	follower, follow, _ := replica(t, register(list...), nil, withdrawing)
	lead()
	const ns = "takeover"
	exportBothAndLast(t, ns, a, b, c)
	kit.Eventually(t, "the follower is warm", func() error {
		for _, m := range follower.Members() {
			if m.ID() == "a" && len(m.SourceSlices(types.NamespacedName{Namespace: ns, Name: "both"})) == 1 {
				return nil
			}
		}
		return fmt.Errorf("members %v", follower.Members())
	})
	kit.Must(t, a.KillAPIServer())
	kit.Eventually(t, "the dead cluster's endpoints go", c.wantAddresses(ns, "both", "b/10.2.0.5"))
	kit.Eventually(t, "the import says so", c.wantSaid(ns, "both", "Unreachable", "a: unreachable, endpoints withdrawn"))
	stop()

	taken := time.Now()
	follow()
	kit.Eventually(t, "the follower has concluded the same, and nothing moved meanwhile", func() error {
		kit.Must(t, c.wantAddresses(ns, "both", "b/10.2.0.5")())
		kit.Must(t, c.wantAddresses(ns, "last", "a/10.1.0.6")())
		kit.Must(t, c.wantSaid(ns, "both", "Unreachable", "a: unreachable, endpoints withdrawn")())
		for _, m := range follower.Members() {
			if m.ID() == "a" && m.Standing() == liveness.Withdrawn {
				return nil
			}
		}
		return fmt.Errorf("a is not withdrawn after %s", time.Since(taken))
	})
	if took := time.Since(taken); took < grace {
		t.Errorf("concluded after %s, before the grace period of %s was over", took, grace)
	}
	kit.Must(t, a.StartAPIServer(t.Context()))
	kit.Eventually(t, "they return with the cluster", c.wantAddresses(ns, "both", "a/10.1.0.5", "b/10.2.0.5"))
}
