package members

import (
	"log/slog"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/registration"
)

// TestConsumerBounds_X6: all that is kept of an importing cluster has a bound, and what is too large is counted in the member's state.
// Services of a provider have bounds by name instead.
func TestConsumerBounds_X6(t *testing.T) {
	made := func(consumer bool) *connection {
		m := &Member{log: slog.New(slog.DiscardHandler)}
		reg := registration.Registration{ID: "c", Provider: !consumer, Consumer: consumer, Config: &rest.Config{Host: "https://127.0.0.1:1"}}
		c, err := newConnection(m, reg, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := made(true)
	imports := c.importStore()
	for name, most := range map[string]int{
		"imports": imports.Total.Most, "imported slices": c.imported.Store.Total.Most, "Services": c.services.Store.Total.Most,
		"namespaces": c.namespaces.Store.Total.Most, "nodes": c.nodes.Store.Total.Most,
	} {
		if most < 1<<20 || most > 1<<30 {
			t.Errorf("the %s have a bound of %d bytes", name, most)
		}
	}
	if made(false).services.Store.Total.Weigh != nil {
		t.Error("the Services of a provider have a bound together")
	}

	trim(c.imported.Kind.Trim, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Endpoints: make([]discoveryv1.Endpoint, 100_000)}, c.imported.Store.Put)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	for range 2 * keep.MaxNodeAddresses {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: "10.0.0.1"})
	}
	trim(c.nodes.Kind.Trim, node, c.nodes.Store.Put)
	i := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Name: "i"}, Spec: mcs.ServiceImportSpec{Ports: make([]mcs.ServicePort, 100_000)}}
	trim(importKind(nil, "").Trim, i, imports.Put)
	if n := c.refused(); n != 2 {
		t.Errorf("%d are counted, want the slice and the node", n)
	}
	if n := imports.Refused(); n != 1 {
		t.Errorf("%d imports are counted, want one", n)
	}
	said := ""
	for _, p := range c.problems(nil) {
		said += p.what + ": " + p.err.Error() + "\n"
	}
	if !strings.Contains(said, "objects too large: 2 objects are too large to keep") {
		t.Errorf("the state says %q", said)
	}
}

func trim[T any](trim func(T), o T, put func(T)) {
	trim(o)
	put(o)
}
