package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// latency is how long every request to the slow member of TestSlowMember takes more than it would.
const latency = 2 * time.Second

// slowly delays every request.
type slowly struct{ http.RoundTripper }

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(latency):
		return s.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// TestSlowMember_L5: while one member needs seconds for every request and falls behind, changes reach another as fast as ever;
// and the slow one gets there, too.
func TestSlowMember_L5(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	const ns, services, changes = "slow", 20, 60
	namespace(t, ns, a, b, c)
	name := func(n int) string { return fmt.Sprintf("web-%d", n%services) }
	held := make([]*discoveryv1.EndpointSlice, services)
	for n := range held {
		a.service(t, ns, name(n))
		held[n] = a.slice(t, ns, name(n), "x", []string{"10.1.0.1"})
		a.export(t, ns, name(n))
	}
	slow := registered(b)
	slow.Config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return slowly{rt} })
	source := register(a, c)
	source.list = append(source.list, slow)
	// Whoever has seconds to answer must be given a grace period of more, from which it follows how long an answer may take.
	run(t, source, nil, func(l *liveness.Periods) { l.Grace = 30 * time.Second })
	for n := range held {
		kit.Eventually(t, "c has all", c.wantAddresses(ns, name(n), "a/10.1.0.1"))
	}
	kit.EventuallyWithin(t, time.Minute, "b has begun, and is busy from now on", func() error {
		_, err := b.getImport(ns, name(0))
		return err
	})

	var took []time.Duration
	for n := range changes {
		s, address := held[n%services], fmt.Sprintf("10.1.0.%d", n+2)
		s.Endpoints[0].Addresses = []string{address}
		began := time.Now()
		var err error
		held[n%services], err = a.kube.DiscoveryV1().EndpointSlices(ns).Update(t.Context(), s, metav1.UpdateOptions{})
		kit.Must(t, err)
		kit.Eventually(t, "c follows", c.wantAddresses(ns, name(n), "a/"+address))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	p50, p90, most := took[len(took)/2], took[len(took)*9/10], took[len(took)-1]
	t.Logf("a change reached c within %v (p50), %v (p90), %v (at most), looked at every 20 ms, while every request to b took %v", p50, p90, most, latency)
	if p90 > latency/2 { // who waits for the slow member does so every time; one that was slow may be this machine
		t.Errorf("p90 %v, with a member that needs %v for a request", p90, latency)
	}
	kit.EventuallyWithin(t, 4*time.Minute, "b gets there", func() error {
		for n := changes - services; n < changes; n++ {
			if err := b.wantAddresses(ns, name(n), fmt.Sprintf("a/10.1.0.%d", n+2))(); err != nil {
				return err
			}
		}
		return nil
	})
}
