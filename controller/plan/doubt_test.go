package plan

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC L9, I2: while a cluster is away, a person deletes the import: its endpoints are kept from the garbage collector.
func TestUnsureSlicesAreKept_L9(t *testing.T) {
	east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, east, west), noon)
	away := wanted(t, east, west)
	away.Unsure, away.Sources = map[string]bool{"east": true}, away.Sources[1:]
	c.imp = nil
	c.settle(away, noon)
	c.collect()
	if len(c.slices) != 2 || c.svc == nil {
		t.Errorf("%d slices, Service %v", len(c.slices), c.svc != nil)
	}
	if got := clusterNames(&c.imp.Status); !slices.Equal(got, []string{"east", "west"}) {
		t.Errorf("status.clusters %v", got)
	}
	// When another cluster's ports need another name for a port of the one that is away, its slices follow.
	for _, s := range c.slices {
		if s.Labels[mcsapi.LabelSourceCluster] == "east" && *s.Ports[0].Name != "http" {
			t.Fatal("unexpected name")
		}
	}
	west.age = 5 * time.Hour
	west.service.Ports[0].Name = "web"
	west.slices = []*discoveryv1.EndpointSlice{slice("service1-abcde", discoveryv1.AddressTypeIPv4, []string{"web"}, "10.2.0.1")}
	away = wanted(t, east, west)
	away.Unsure, away.Sources = map[string]bool{"east": true}, away.Sources[1:]
	c.settle(away, noon)
	for _, s := range c.slices {
		if len(s.Ports) != 1 || *s.Ports[0].Name != "web" {
			t.Errorf("slice of %s has ports %v", s.Labels[mcsapi.LabelSourceCluster], s.Ports)
		}
	}
}

// SPEC L3, L6: while a cluster that may be a part of the service is unknown and not remembered, nothing is replaced and no
// port goes.
func TestHoldStill_L6(t *testing.T) {
	east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
	west.service.ClusterIP = corev1.ClusterIPNone
	west.service.Ports = []corev1.ServicePort{{Name: "other", Port: 1}}
	west.slices = []*discoveryv1.EndpointSlice{slice("service1-abcde", discoveryv1.AddressTypeIPv4, []string{"other"}, "10.2.0.1")}
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, east, west), noon)
	service, ports := c.svc.UID, len(c.svc.Spec.Ports)
	alone := wanted(t, west)
	alone.Unsure = map[string]bool{"east": true}
	c.settle(alone, noon)
	if c.svc.UID != service || len(c.svc.Spec.Ports) != ports || len(c.slices) != 2 || len(c.imp.Spec.IPs) != 1 {
		t.Errorf("on doubt: %v", c.log)
	}
}

// SPEC L3, L6: the automatic import is gone, and the only cluster that may export the name is unknown: what there is of it is
// not deleted on that ground.
func TestHoldStillWithoutImport_L6(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, provider("east", time.Hour)), noon)
	c.imp = nil
	unknown := wanted(t)
	unknown.Unsure = map[string]bool{"east": true}
	if actions := c.settle(unknown, noon); len(actions) > 0 {
		t.Errorf("on doubt: %v", c.log)
	}
	c.settle(wanted(t), noon)
	if c.svc != nil || len(c.slices) > 0 {
		t.Error("left over once it is known that nobody exports the name")
	}
}
