package fleet

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/kit"
)

// TestOnDemandImport_A2_A3 is the user's document: an import that a person creates gets its address, and a derived Service
// backed by the provider's endpoints; without an import nothing appears.
func TestOnDemandImport_A2_A3(t *testing.T) {
	a, b, _ := withOnDemand(t)
	const ns = "on-demand"
	namespace(t, ns, a, b)
	a.service(t, ns, "service1")
	a.slice(t, ns, "service1", "x", []string{"10.1.0.5", "10.1.0.6"})
	a.export(t, ns, "service1")
	kit.Eventually(t, "valid export", a.wantCondition(ns, "service1", "Valid", metav1.ConditionTrue, "Valid"))
	sentinel(t, ns, a, b)
	kit.Must(t, b.wantGone(ns, "service1")()) // nothing is imported unasked (I2)

	b.importOf(t, ns, "service1")
	kit.Eventually(t, "import", b.wantImported(ns, "service1"))
	kit.Eventually(t, "endpoints", b.wantAddresses(ns, "service1", "a/10.1.0.5", "a/10.1.0.6"))

	derived, err := b.getService(ns, "amcs-service1")
	kit.Must(t, err)
	if p := derived.Spec.Ports; derived.Spec.Type != corev1.ServiceTypeClusterIP || len(p) != 1 || p[0].Name != "http" || p[0].Port != 80 || p[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("derived Service %+v", derived.Spec)
	}
	if len(derived.Spec.Selector) != 0 {
		t.Errorf("derived Service selects %v", derived.Spec.Selector)
	}
	i, err := b.getImport(ns, "service1")
	kit.Must(t, err)
	if len(i.Status.Clusters) != 1 || i.Status.Clusters[0].Cluster != "a" || i.Status.EndpointSliceObjects != mcs.EndpointSliceObjectsPresent {
		t.Errorf("import status %+v (I5)", i.Status)
	}
	if i.Labels[mcsapi.LabelAutomatic] != "" {
		t.Errorf("a person's import was marked automatic: %v", i.Labels)
	}
}

// TestSlices_S1_S2_S4: what an imported slice carries and what it does not.
func TestSlices_S1_S2_S4(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "slices"
	namespace(t, ns, a, b)
	a.service(t, ns, "web")
	no, yes, host, zone, node := false, true, "web-0", "zone-1", "node-1"
	source := a.slice(t, ns, "web", "x", []string{"10.1.0.5", "10.1.0.6"}, func(s *discoveryv1.EndpointSlice) {
		s.Labels["app"] = "web"
		s.Labels[corev1.IsHeadlessService] = ""
		s.Endpoints[0].Hostname, s.Endpoints[0].Zone, s.Endpoints[0].NodeName = &host, &zone, &node
		s.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "web-0", Namespace: ns}
		s.Endpoints[1].Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
	})
	a.export(t, ns, "web")
	kit.Eventually(t, "endpoints", b.wantAddresses(ns, "web", "a/10.1.0.5", "a/10.1.0.6"))
	list, err := b.imported(ns, "web")
	kit.Must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d slices, want one per source slice", len(list))
	}
	s := list[0]
	i, err := b.getImport(ns, "web")
	kit.Must(t, err)
	want := map[string]string{
		discoveryv1.LabelServiceName: "amcs-web", discoveryv1.LabelManagedBy: mcsapi.ManagedBy,
		mcsapi.LabelServiceName: "web", mcsapi.LabelSourceCluster: "a", mcsapi.LabelClusterSet: "test",
	}
	if fmt.Sprint(s.Labels) != fmt.Sprint(want) {
		t.Errorf("labels %v, want %v", s.Labels, want)
	}
	if len(s.Name) < len("amcs-web-") || s.Name[:len("amcs-web-")] != "amcs-web-" || s.Name == source.Name {
		t.Errorf("name %s does not start with that of the derived Service (S4)", s.Name)
	}
	if o := s.OwnerReferences; len(o) != 1 || o[0].UID != i.UID || o[0].Kind != "ServiceImport" || o[0].APIVersion != "multicluster.x-k8s.io/v1beta1" {
		t.Errorf("owners %+v, want the import %s", o, i.UID)
	}
	var first, second discoveryv1.Endpoint
	for _, e := range s.Endpoints {
		if e.Addresses[0] == "10.1.0.5" {
			first = e
		} else {
			second = e
		}
	}
	if first.Hostname == nil || *first.Hostname != host || first.Zone == nil || *first.Zone != zone || first.TargetRef != nil || first.NodeName != nil {
		t.Errorf("endpoint %+v", first)
	}
	if c := second.Conditions; c.Ready == nil || *c.Ready || c.Serving == nil || !*c.Serving || c.Terminating == nil || !*c.Terminating {
		t.Errorf("conditions %+v were not carried", c)
	}
	// In the exporting cluster itself the node stays (S2), and the source slice is not a slice of the import.
	kit.Eventually(t, "import in the exporting cluster (I1)", a.wantImported(ns, "web"))
	kit.Eventually(t, "endpoints in the exporting cluster", a.wantAddresses(ns, "web", "a/10.1.0.5", "a/10.1.0.6"))
	own, err := a.imported(ns, "web")
	kit.Must(t, err)
	found := false
	for _, e := range own[0].Endpoints {
		found = found || e.NodeName != nil && *e.NodeName == node
	}
	if !found {
		t.Errorf("nodeName is gone from the slice imported from the consumer itself: %+v", own[0].Endpoints)
	}
}

// TestWithdrawal_A8_E5: deleting the export, or the Service, or the import, removes what it should and nothing else.
func TestWithdrawal_A8_E5(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "withdrawal"
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "web")
	}
	kit.Eventually(t, "both", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))

	a.unexport(t, ns, "web")
	kit.Eventually(t, "the other exporter stays", c.wantAddresses(ns, "web", "b/10.2.0.5"))

	kit.Must(t, b.kube.CoreV1().Services(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	kit.Eventually(t, "all gone with the Service (E5)", c.wantGone(ns, "web"))
	kit.Eventually(t, "the export says why", b.wantCondition(ns, "web", "Valid", metav1.ConditionFalse, "NoService"))

	b.service(t, ns, "web")
	kit.Eventually(t, "back with the Service", c.wantImported(ns, "web"))
	kit.Eventually(t, "valid again", b.wantCondition(ns, "web", "Valid", metav1.ConditionTrue, "Valid"))

	// An automatic import that somebody deletes comes back.
	kit.Must(t, c.mcs.Delete().Namespace(ns).Resource("serviceimports").Name("web").Do(t.Context()).Error())
	kit.Eventually(t, "automatic imports come back", c.wantImported(ns, "web"))
}

// TestOnDemandRemoval_A8: the import's deletion removes derived Service and slices; the export's leaves the import.
func TestOnDemandRemoval_A8(t *testing.T) {
	a, b, _ := withOnDemand(t)
	const ns = "on-demand-removal"
	namespace(t, ns, a, b)
	b.importOf(t, ns, "web")
	pending := func() error {
		i, err := b.getImport(ns, "web")
		if err != nil {
			return err
		}
		if r := condition(i.Status.Conditions, "Ready"); r == nil || r.Status == metav1.ConditionTrue || r.Reason != "Pending" || len(i.Spec.IPs) != 0 {
			return fmt.Errorf("import %+v %+v", i.Spec, i.Status)
		}
		return nil
	}
	kit.Eventually(t, "an import of what nobody exports waits and says so", pending)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	a.unexport(t, ns, "web")
	kit.Eventually(t, "not served", b.wantNotServed(ns, "web"))
	kit.Eventually(t, "the person's import stays", pending)
	a.export(t, ns, "web")
	kit.Eventually(t, "import again", b.wantImported(ns, "web"))
	kit.Must(t, b.mcs.Delete().Namespace(ns).Resource("serviceimports").Name("web").Do(t.Context()).Error())
	kit.Eventually(t, "gone with the import", b.wantGone(ns, "web"))
	sentinel(t, ns, a, b)
	kit.Must(t, b.wantGone(ns, "web")()) // and stays gone
}
