package clusters

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestMember holds what a member knows of its cluster, under the identity that deploy/rbac allows (SPEC X1).
func TestMember(t *testing.T) {
	c := start(t, controlplane.Options{ServiceCIDRs: []string{"fd00:96::/112", "10.96.0.0/16"}})
	c.namespace("n")
	r := run(t, newSource(c.as("c1")))
	m := r.synced(t, "c1")
	r.take()

	t.Run("families, the primary one first (SPEC I4)", func(t *testing.T) {
		if got := m.Families(); !slices.Equal(got, []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}) {
			t.Errorf("got %v", got)
		}
		if got := m.ServiceRanges().String(); got != "10.96.0.0-10.96.255.255, fd00:96::-fd00:96::ffff" {
			t.Errorf("got ranges %v", got)
		}
	})
	t.Run("exports", func(t *testing.T) {
		e := c.export("n", "s")
		kit.True(t, "the export is told", func() bool { return r.has("changed c1 n/s") })
		if got := m.Export(key("n", "s")); got == nil || got.UID != e.UID || got.ManagedFields != nil {
			t.Errorf("got %v", got)
		}
		if !slices.Contains(m.Keys(), key("n", "s")) {
			t.Errorf("the keys are %v", m.Keys())
		}
		kit.True(t, "it is known that there is no Service", func() bool { return m.Knows(key("n", "s")) })
		r.take()
		c.unexport("n", "s")
		kit.True(t, "the end of the export is told", func() bool { return r.has("changed c1 n/s") && m.Export(key("n", "s")) == nil })
	})
	t.Run("services that are exported, or of interest to a consumer", func(t *testing.T) {
		c.service("n", "plain", nil)
		c.export("n", "plain")
		kit.True(t, "the Service is known", func() bool { return m.Knows(key("n", "plain")) })
		r.take()
		c.service("n", "private", nil)
		c.service("n", "amcs-taken", nil)
		c.service("n", "amcs-0123", map[string]string{mcsapi.LabelServiceName: "long"})
		for _, want := range []string{"changed c1 n/taken", "changed c1 n/long"} {
			kit.True(t, want, func() bool { return r.has(want) })
		}
		if s := m.Service(key("n", "private")); s != nil || r.has("changed c1 n/private") {
			t.Errorf("a Service that nobody exports is kept, or told: %v", s)
		}
		if s := m.Service(key("n", "plain")); s == nil || s.Spec.Ports[0].Port != 80 || s.Spec.Selector != nil {
			t.Errorf("an exported service is %v", s)
		}
		if s := m.Service(key("n", "amcs-0123")); s == nil || s.Spec.Selector["app"] != "x" {
			t.Errorf("a derived service is %v", s)
		}
		if keys := m.Keys(); !slices.Contains(keys, key("n", "long")) || slices.Contains(keys, key("n", "private")) {
			t.Errorf("the keys are %v", keys)
		}
	})
	t.Run("slices of exported services, never imported ones (SPEC X4)", func(t *testing.T) {
		for _, name := range []string{"web", "other", "amcs-i"} {
			c.export("n", name)
			kit.True(t, "the name is known", func() bool { return m.Knows(key("n", name)) })
		}
		c.slice("n", "e", map[string]string{discoveryv1.LabelServiceName: "private"})
		c.slice("n", "b", map[string]string{discoveryv1.LabelServiceName: "web"})
		c.slice("n", "a", map[string]string{discoveryv1.LabelServiceName: "web"})
		c.slice("n", "c", map[string]string{discoveryv1.LabelServiceName: "web", mcsapi.LabelSourceCluster: "evil"})
		c.slice("n", "d", map[string]string{discoveryv1.LabelServiceName: "other"})
		kit.True(t, "the last slice is there", func() bool { return len(m.SourceSlices(key("n", "other"))) == 1 })
		if got := m.SourceSlices(key("n", "private")); len(got) != 0 {
			t.Errorf("slices that nobody exports are kept: %v", got)
		}
		got := m.SourceSlices(key("n", "web"))
		if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
			t.Fatalf("got %v", got)
		}
		if e := got[0].Endpoints[0]; e.TargetRef != nil || e.NodeName == nil || e.Zone == nil {
			t.Errorf("the endpoint is %v", e)
		}
	})
	t.Run("imported slices, of this clusterset only (SPEC X5)", func(t *testing.T) {
		r.take()
		labels := func(set string) map[string]string {
			return map[string]string{
				discoveryv1.LabelManagedBy: mcsapi.ManagedBy, discoveryv1.LabelServiceName: "amcs-i", mcsapi.LabelServiceName: "i",
				mcsapi.LabelSourceCluster: "c2", mcsapi.LabelClusterSet: set,
			}
		}
		c.slice("n", "ours", labels("test"))
		c.slice("n", "theirs", labels("other"))
		kit.True(t, "both are told", func() bool {
			return m.Registration().ID == "c1" && len(m.ImportedSlices(key("n", "i"))) == 1 && r.has("changed c1 n/i")
		})
		if got := m.ImportedSlices(key("n", "i")); got[0].Name != "ours" {
			t.Errorf("got %v", got)
		}
		if len(m.SourceSlices(key("n", "amcs-i"))) != 0 {
			t.Error("an imported slice is offered for export")
		}
	})
	t.Run("namespaces (SPEC I1)", func(t *testing.T) {
		if m.NamespaceActive("later") || !m.NamespaceActive("n") {
			t.Error("the wrong namespaces are active")
		}
		c.namespace("later")
		kit.True(t, "the namespace is told", func() bool { return r.has("namespace c1 later") })
		if !m.NamespaceActive("later") {
			t.Error("the namespace is not active")
		}
		r.take()
		if err := c.kube.CoreV1().Namespaces().Delete(context.Background(), "later", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		kit.True(t, "its end is told", func() bool { return r.has("namespace c1 later") })
	})
	t.Run("nodes (SPEC X2)", func(t *testing.T) {
		r.take()
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}},
		}}
		if _, err := c.kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		kit.True(t, "a node concerns all imports here, and nobody else's", func() bool { return r.has("consumer c1") })
		if r.has("synced c1") {
			t.Error("every name of every cluster is looked at for a node")
		}
		if m.NamespaceActive("later") {
			t.Error("a terminating namespace is active")
		}
	})
	t.Run("own writes are seen at once", func(t *testing.T) {
		var made mcs.ServiceImport
		for i := range 50 { // the watch wins the race now and then; both ways must hold
			err := m.Imports().Post().Namespace("n").Resource("serviceimports").Body(&mcs.ServiceImport{
				ObjectMeta: metav1.ObjectMeta{Name: "own"},
				Spec:       mcs.ServiceImportSpec{Type: mcs.Headless, Ports: []mcs.ServicePort{}},
			}).Do(context.Background()).Into(&made)
			if err != nil {
				t.Fatal(err)
			}
			m.Wrote(made.DeepCopy())
			if got := m.Import(key("n", "own")); got == nil || got.ResourceVersion != made.ResourceVersion {
				t.Fatalf("round %d: after the write, reads see %v", i, got)
			}
			if err := m.Imports().Delete().Namespace("n").Resource("serviceimports").Name("own").Do(context.Background()).Error(); err != nil {
				t.Fatal(err)
			}
			m.Deleted(&made)
			if got := m.Import(key("n", "own")); got != nil {
				t.Fatalf("round %d: after the deletion, reads see %v", i, got)
			}
		}
	})
}
