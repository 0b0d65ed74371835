package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC L2, M3: the endpoints of an unreachable cluster are the last ones also where the others have some, but none for a port
// that it serves, or none that can be used here. They go once others serve all that it does, and at once by another policy.
func TestLastThatCanBeUsed_L2(t *testing.T) {
	of := func(c *consumer, cluster string) (n int) {
		for _, s := range c.slices {
			if s.Labels[mcsapi.LabelSourceCluster] == cluster {
				n++
			}
		}
		return n
	}
	ports := func(e *exporter, names ...string) *exporter {
		e.service.Ports = nil
		for i, name := range names {
			e.service.Ports = append(e.service.Ports, corev1.ServicePort{Name: name, Protocol: corev1.ProtocolTCP, Port: int32(80 + i)})
		}
		e.slices = []*discoveryv1.EndpointSlice{slice("service1-"+e.cluster, discoveryv1.AddressTypeIPv4, names, "10.2.0.1")}
		return e
	}
	refused := ports(provider("west", time.Hour), "http")
	refused.slices[0].Endpoints[0].Addresses = []string{"127.0.0.1"}
	silent := ports(provider("west", time.Hour), "http")
	silent.slices[0].Endpoints[0].Conditions.Ready = ptr(false)
	for name, test := range map[string]struct {
		east, west *exporter
		policy     bool // unless last
		stays      bool
	}{
		"the same port":           {provider("east", 2*time.Hour), ports(provider("west", time.Hour), "http"), true, false},
		"another port":            {ports(provider("east", 2*time.Hour), "http", "metrics"), ports(provider("west", time.Hour), "http"), true, true},
		"another port, withdraw":  {ports(provider("east", 2*time.Hour), "http", "metrics"), ports(provider("west", time.Hour), "http"), false, false},
		"less than the others":    {ports(provider("east", 2*time.Hour), "http"), ports(provider("west", time.Hour), "http", "metrics"), true, false},
		"what others have is bad": {provider("east", 2*time.Hour), refused, true, true},
		"others are not ready":    {provider("east", 2*time.Hour), silent, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			all := func() Wanted { return wanted(t, test.east, test.west) }
			c := newConsumer(t, defaultConsumer())
			c.settle(all(), noon)
			if of(c, "east") != 1 {
				t.Fatalf("not imported: %v", c.log)
			}
			w := all()
			w.Sources[0].Withdrawn, w.UnlessLast, w.Unreachable = true, test.policy, map[string]bool{"east": true}
			c.settle(w, noon)
			if stays := of(c, "east") == 1; stays != test.stays {
				t.Errorf("stays: %v; %v", stays, c.log)
			}
			unknown := all()
			unknown.Sources[0] = Source{Cluster: "east", Withdrawn: true}
			unknown.Unsure, unknown.UnlessLast, unknown.Unreachable = map[string]bool{"east": true}, test.policy, map[string]bool{"east": true}
			c.settle(unknown, noon)
			if stays := of(c, "east") == 1; stays != test.stays {
				t.Errorf("not known what it has; stays: %v; %v", stays, c.log)
			}
		})
	}
}
