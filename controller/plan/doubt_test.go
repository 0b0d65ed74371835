package plan

import (
	"fmt"
	"slices"
	"strings"
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

// SPEC L6, S5: conditions about what was found in a cluster's slices are neither taken back nor said again because the slices
// are not known for a while, as after a restart of the controller.
func TestConditionsOutlastDoubt_L6(t *testing.T) {
	local, east := provider("consumer", time.Hour), provider("east", 2*time.Hour)
	local.slices[0].Endpoints[0].NodeName, local.slices[0].Endpoints[1].NodeName = nil, nil
	for _, e := range []*exporter{local, east} {
		e.service.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal)
	}
	east.slices[0].Endpoints[0].Addresses = []string{"127.0.0.1"}
	known := wanted(t, local, east)
	known.Unreachable = map[string]bool{"east": true}
	c := newConsumer(t, defaultConsumer())
	c.settle(known, noon)
	for _, typ := range []string{ConditionNoLocalEndpoints, ConditionRefused, ConditionUnreachable} {
		if conditionOf(c.imp, typ).Status != "True" {
			t.Fatalf("%s is not reported: %v", typ, c.log)
		}
	}
	unknown := wanted(t, local, east)
	unknown.Sources, unknown.Unsure = nil, map[string]bool{"consumer": true, "east": true}
	if actions := c.settle(unknown, noon); len(actions) > 0 {
		t.Errorf("on doubt: %v", c.log[len(c.log)-len(actions):])
	}
	if actions := c.settle(known, noon); len(actions) > 0 {
		t.Errorf("after it: %v", c.log[len(c.log)-len(actions):])
	}
}

// SPEC S5, L6: an import that waits for an exporter is not written because a member is not known for a while.
func TestWaitingOutlastsDoubt_S5(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	c.putImport(onDemand())
	c.settle(wanted(t), noon)
	unknown := wanted(t)
	unknown.Unsure = map[string]bool{"east": true}
	if actions := c.settle(unknown, noon); len(actions) > 0 {
		t.Errorf("%v", c.log)
	}
	fresh := newConsumer(t, defaultConsumer())
	fresh.putImport(onDemand())
	fresh.settle(unknown, noon)
	if m := conditionOf(fresh.imp, "Ready").Message; m != "no cluster of clusterset demo exports provider-ns/service1; not known now of east" {
		t.Errorf("a new import says %q", m)
	}
}

// A plan does not depend on the order in which caches return objects.
func TestOrderOfCaches(t *testing.T) {
	e := provider("east", time.Hour)
	e.slices = nil
	for i := range 5 {
		e.slices = append(e.slices, slice(fmt.Sprintf("s%d", i), discoveryv1.AddressTypeIPv4, []string{"http"}, fmt.Sprintf("10.1.0.%d", i)))
	}
	names := func(c *consumer, w Wanted, h Held) string {
		var out []string
		for _, a := range For(c.Consumer, w, h, noon) {
			out = append(out, string(a.Verb)+" "+a.Object.GetName())
		}
		return strings.Join(out, ", ")
	}
	c := newConsumer(t, defaultConsumer())
	w := wanted(t, e)
	c.apply(&For(c.Consumer, w, c.held(), noon)[0])
	first := names(c, w, c.held())
	slices.Reverse(e.slices)
	if again := names(c, w, c.held()); again != first {
		t.Errorf("sources in reverse: %s, not %s", again, first)
	}
	c.settle(w, noon)
	none := wanted(t)
	first = names(c, none, c.held())
	reversed := c.held()
	slices.Reverse(reversed.Slices)
	if again := names(c, none, reversed); again != first {
		t.Errorf("held in reverse: %s, not %s", again, first)
	}
}
