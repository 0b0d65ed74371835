package clusters

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"
)

// tunnel returns a tunnel to a cluster, and the registration of a provider that is reached through it.
func (c *cluster) tunnel(id string) (*link.Tunnel, registration.Registration) {
	c.t.Helper()
	reg := c.as(id)
	transport, err := rest.TransportFor(reg.Config)
	if err != nil {
		c.t.Fatal(err)
	}
	way, err := link.NewTunnel(c.URL(), transport)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(way.Close)
	reg.Consumer, reg.Config = false, &rest.Config{Host: way.URL(), TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	return way, reg
}

// TestSilentWatch_L10: a tunnel loses the watches of a member while its API server answers everything else. A pod that went meanwhile is
// gone here once the watches were silent for long enough, and the member was never out of reach.
func TestSilentWatch_L10(t *testing.T) {
	a := start(t, controlplane.Options{Name: "a"})
	way, reg := a.tunnel("a")
	const silence = 5 * time.Second
	r := leadWith(t, members.Options{
		ClusterSet: "test", ProbeInterval: 500 * time.Millisecond, Liveness: liveness.Periods{Grace: grace, Stable: stable}, Silence: silence,
	}, newSource(reg))
	a.namespace("shop")
	a.service("shop", "cart", nil)
	slice := a.slice("shop", "cart-1", map[string]string{"kubernetes.io/service-name": "cart"})
	a.export("shop", "cart")
	ma := r.member(t, "a")
	kit.True(t, "the slice is known", func() bool {
		return ma.Knows(key("shop", "cart")) && len(ma.SourceSlices(key("shop", "cart"))) == 1 && ma.Standing() == liveness.Reachable
	})

	way.Lose()
	if err := a.kube.DiscoveryV1().EndpointSlices("shop").Delete(t.Context(), slice.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	kit.TrueWithin(t, 6*silence, "the slice is gone", func() bool {
		if ma.Standing() != liveness.Reachable {
			t.Fatalf("the member counts as %s", ma.Standing())
		}
		return len(ma.SourceSlices(key("shop", "cart"))) == 0
	})
	t.Logf("gone after %v, silence is %v", time.Since(gone), silence)
}

// TestWatchesNeverOpen_L10_L2: a member whose watches are lost and can't be opened anew is not reached, although its API server answers
// everything else: the grace period begins, after it the member is withdrawn, and the log names the stream. When watches open again it
// is trusted again. One whose watches never opened is not synced.
func TestWatchesNeverOpen_L10_L2(t *testing.T) {
	a := start(t, controlplane.Options{Name: "a"})
	way, reg := a.tunnel("a")
	never, other := a.tunnel("b")
	never.Shut(true)
	const silence, patience = 4 * time.Second, 2 * time.Second
	opts := members.Options{
		ClusterSet: "test", ProbeInterval: 500 * time.Millisecond, Liveness: liveness.Periods{Grace: grace, Stable: stable},
		Silence: silence, Patience: patience,
	}
	r, apart := leadWith(t, opts, newSource(reg)), leadWith(t, opts, newSource(other)) // both in one set would count as cut off
	ma := r.member(t, "a")
	kit.True(t, "a is reachable", func() bool { return ma.ProviderSynced() && ma.Standing() == liveness.Reachable })

	way.Shut(true)
	way.Lose()
	lost := time.Now()
	kit.True(t, "a is lost", func() bool { return ma.Standing() == liveness.Lost })
	if took := time.Since(lost); took < patience { // of silence, some may have passed before
		t.Errorf("lost after %v, before watches could not be opened for %v", took, patience)
	}
	for _, stream := range []string{"serviceexports." + mcsapi.Group, "services", "endpointslices.discovery.k8s.io"} {
		kit.True(t, "the log names "+stream, func() bool {
			return strings.Contains(r.log.String(), stream) && strings.Contains(r.log.String(), "opening a watch: nothing came from the API server for 2s")
		})
	}
	kit.True(t, "a is withdrawn", func() bool { return ma.Standing() == liveness.Withdrawn })
	if took := time.Since(lost); took < patience+grace {
		t.Errorf("withdrawn after %v, before the grace period of %v", took, grace)
	}
	if mb := apart.member(t, "b"); mb.ProviderSynced() || mb.Standing() == liveness.Reachable {
		t.Errorf("b, whose watches never opened, is synced: %t, and counts as %s", mb.ProviderSynced(), mb.Standing())
	}
	way.Shut(false)
	kit.TrueWithin(t, 2*time.Minute, "a is back", func() bool { return ma.Standing() == liveness.Reachable })
}
