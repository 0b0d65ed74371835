package fleet

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestNamespaces_I1: no import without the namespace; it follows when the namespace comes, goes and comes again.
func TestNamespaces_I1(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "late"
	namespace(t, ns, a)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "valid", a.wantCondition(ns, "web", "Valid", metav1.ConditionTrue, "Valid"))
	for range 2 {
		namespace(t, ns, b)
		kit.Eventually(t, "import follows the namespace", b.wantImported(ns, "web"))
		kit.Eventually(t, "endpoints", b.wantAddresses(ns, "web", "a/10.1.0.5"))
		kit.Must(t, b.kube.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}))
		kit.EventuallyWithin(t, 60e9, "the namespace goes", func() error {
			_, err := b.kube.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
			if err == nil {
				return fmt.Errorf("still there")
			}
			return nil
		})
	}
	kit.Eventually(t, "a's own import is not disturbed", a.wantImported(ns, "web"))
}

// TestByHand: what people delete or change of our objects is put back.
func TestByHand(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "by-hand"
	namespace(t, ns, a, b)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	kit.Eventually(t, "endpoints", b.wantAddresses(ns, "web", "a/10.1.0.5"))

	kit.Must(t, b.kube.CoreV1().Services(ns).Delete(t.Context(), "amcs-web", metav1.DeleteOptions{}))
	kit.Eventually(t, "derived Service comes back, and the import's address follows", b.wantImported(ns, "web"))

	patch(t, b, ns, "amcs-web", `{"spec":{"ports":[{"name":"evil","port":81}]}}`)
	kit.Eventually(t, "ports are put back", func() error {
		s, err := b.getService(ns, "amcs-web")
		if err == nil && (len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 80) {
			err = fmt.Errorf("ports %+v", s.Spec.Ports)
		}
		return err
	})

	list, err := b.imported(ns, "web")
	kit.Must(t, err)
	kit.Must(t, b.kube.DiscoveryV1().EndpointSlices(ns).Delete(t.Context(), list[0].Name, metav1.DeleteOptions{}))
	kit.Eventually(t, "slice comes back", b.wantAddresses(ns, "web", "a/10.1.0.5"))
	_, err = b.kube.DiscoveryV1().EndpointSlices(ns).Patch(t.Context(), list[0].Name, types.MergePatchType, []byte(`{"endpoints":[{"addresses":["10.9.9.9"]}]}`), metav1.PatchOptions{})
	kit.Must(t, err)
	kit.Eventually(t, "slice is put back", b.wantAddresses(ns, "web", "a/10.1.0.5"))
}

// TestForeign_I6_X5: what this controller did not create is left untouched and reported.
func TestForeign_I6_X5(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "foreign"
	namespace(t, ns, a, b)
	foreign := b.service(t, ns, "amcs-web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 1234 })
	own := b.service(t, ns, "web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 4321 })
	other := b.slice(t, ns, "web", "x", []string{"10.2.0.9"})
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "reported on the import", func() error {
		i, err := b.getImport(ns, "web")
		if err == nil && !strings.Contains(fmt.Sprint(i.Status.Conditions), "amcs-web") {
			err = fmt.Errorf("conditions %+v", i.Status.Conditions)
		}
		return err
	})
	sentinel(t, ns, a, b)
	for _, was := range []*corev1.Service{foreign, own} { // untouched (SPEC I7 for the local Service of the same name)
		now, err := b.getService(ns, was.Name)
		if err != nil || now.ResourceVersion != was.ResourceVersion {
			t.Errorf("%s: %v %v", was.Name, err, now)
		}
	}
	now, err := b.kube.DiscoveryV1().EndpointSlices(ns).Get(t.Context(), other.Name, metav1.GetOptions{})
	if err != nil || now.ResourceVersion != other.ResourceVersion {
		t.Errorf("slice: %v %v", err, now)
	}
	kit.Must(t, b.kube.CoreV1().Services(ns).Delete(t.Context(), "amcs-web", metav1.DeleteOptions{}))
	kit.Eventually(t, "the way is free", b.wantImported(ns, "web"))
}

// TestLostAddress_I4: a derived Service whose address was taken while the controller was away is given another, which the
// import tells; what took it is not disturbed.
func TestLostAddress_I4(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "c", ServiceCIDRs: []string{"10.97.0.0/16", "fd00:97::/112"}})
	a, c := list[0], list[1]
	stop := run(t, register(list...), nil)
	const ns = "lost-address"
	namespace(t, ns, a, c)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "import", c.wantImported(ns, "web"))
	stop()
	derived, err := c.getService(ns, "amcs-web")
	kit.Must(t, err)
	address := derived.Spec.ClusterIP
	kit.Must(t, c.kube.CoreV1().Services(ns).Delete(t.Context(), "amcs-web", metav1.DeleteOptions{}))
	thief := c.service(t, ns, "thief", func(s *corev1.Service) { s.Spec.ClusterIP = address })

	run(t, register(list...), nil)
	kit.Eventually(t, "another address", func() error {
		if err := c.wantImported(ns, "web")(); err != nil {
			return err
		}
		i, err := c.getImport(ns, "web")
		if err == nil && i.Spec.IPs[0] == address {
			err = fmt.Errorf("spec.ips %v", i.Spec.IPs)
		}
		return err
	})
	kit.Eventually(t, "an Event says so", c.wantEvent(t, ns, "web", "AddressLost", "address "+address+" was taken by something else"))
	now, err := c.getService(ns, "thief")
	kit.Must(t, err)
	if now.UID != thief.UID || now.ResourceVersion != thief.ResourceVersion {
		t.Error("the other Service was written")
	}
}

// TestForeignSlice_X5: an EndpointSlice of somebody else under the name that one of ours would have is left alone and reported
// on the import; all else is imported, and this too when the name is free.
func TestForeignSlice_X5(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "foreign-slice"
	namespace(t, ns, a, b)
	name := plan.SliceName("amcs-web", "a", "web-x", discoveryv1.AddressTypeIPv4)
	foreign := b.slice(t, ns, "web", "x", []string{"10.9.9.9"}, func(s *discoveryv1.EndpointSlice) { s.Name = name })
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.slice(t, ns, "web", "y", []string{"10.1.0.6"})
	a.export(t, ns, "web")
	kit.Eventually(t, "the rest is imported", b.wantImported(ns, "web"))
	kit.Eventually(t, "the rest is served", b.wantAddresses(ns, "web", "a/10.1.0.6"))
	kit.Eventually(t, "the import names what is in the way", b.wantSaid(ns, "web", "Refused", "a: slice web-x (an EndpointSlice "+name+" that this controller did not create is in the way; delete it)"))
	sentinel(t, ns, a, b)
	now, err := b.kube.DiscoveryV1().EndpointSlices(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil || now.UID != foreign.UID || now.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("it was touched: %v, now %+v", err, now)
	}
	kit.Must(t, b.kube.DiscoveryV1().EndpointSlices(ns).Delete(t.Context(), name, metav1.DeleteOptions{}))
	kit.Eventually(t, "the name is free", b.wantAddresses(ns, "web", "a/10.1.0.5", "a/10.1.0.6"))
	kit.Eventually(t, "nothing is in the way", b.wantSaid(ns, "web", "Refused"))
}

// TestLongNames_I6: names of 63 characters work, with a derived name shortened by a hash.
func TestLongNames_I6(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "long-names"
	namespace(t, ns, a, b)
	name := strings.Repeat("n", 63)
	a.service(t, ns, name)
	a.slice(t, ns, name, "x", []string{"10.1.0.5"})
	a.export(t, ns, name)
	kit.Eventually(t, "import", b.wantImported(ns, name))
	kit.Eventually(t, "endpoints", b.wantAddresses(ns, name, "a/10.1.0.5"))
	i, err := b.getImport(ns, name)
	kit.Must(t, err)
	if d := i.Annotations[mcsapi.AnnotationDerivedService]; len(d) > 63 || !strings.HasPrefix(d, "amcs-nnn") {
		t.Errorf("derived name %q", d)
	}
}

// TestFamilies_I4: dual-stack and single-stack consumers against exporters of one and of two families.
func TestFamilies_I4(t *testing.T) {
	a, _, c := withAutomatic(t) // c is dual-stack
	const ns = "families"
	namespace(t, ns, a, c)
	dual := corev1.IPFamilyPolicyRequireDualStack
	c.service(t, ns, "both", func(s *corev1.Service) { s.Spec.IPFamilyPolicy = &dual })
	c.slice(t, ns, "both", "4", []string{"10.3.0.5"})
	c.slice(t, ns, "both", "6", []string{"fd00:3::5"}, func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeIPv6 })
	c.export(t, ns, "both")
	c.service(t, ns, "six", func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} })
	c.export(t, ns, "six")
	a.service(t, ns, "four")
	a.export(t, ns, "four")

	families := func(where *cluster, name, want string) func() error {
		return func() error {
			i, err := where.getImport(ns, name)
			if err != nil {
				return err
			}
			if fmt.Sprint(i.Spec.IPFamilies) != want || fmt.Sprint(len(i.Spec.IPs)) != fmt.Sprint(len(i.Spec.IPFamilies)) {
				return fmt.Errorf("%s in %s: families %v ips %v, want %s", name, where.Name(), i.Spec.IPFamilies, i.Spec.IPs, want)
			}
			return nil
		}
	}
	kit.Eventually(t, "both to both", families(c, "both", "[IPv4 IPv6]"))
	kit.Eventually(t, "both to four", families(a, "both", "[IPv4]"))
	kit.Eventually(t, "four to both", families(c, "four", "[IPv4]"))
	kit.Eventually(t, "slices of both families (S3)", c.wantAddresses(ns, "both", "c/10.3.0.5", "c/fd00:3::5"))
	kit.Eventually(t, "none in common", func() error {
		i, err := a.getImport(ns, "six")
		if err != nil {
			return err
		}
		if r := condition(i.Status.Conditions, "Ready"); r == nil || r.Reason != "IPFamilyNotSupported" || len(i.Spec.IPs) != 0 {
			return fmt.Errorf("%+v %+v", i.Spec, i.Status)
		}
		return nil
	})
}

// TestManyEndpoints: 1,000 endpoints in ten slices arrive whole, and one changed slice is one write per consumer (S5).
func TestManyEndpoints(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "many"
	namespace(t, ns, a, b)
	a.service(t, ns, "web")
	var want []string
	for s := range 10 {
		var addresses []string
		for e := range 100 {
			addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", s, e+1))
			want = append(want, "a/"+addresses[e])
		}
		a.slice(t, ns, "web", fmt.Sprint(s), addresses)
	}
	a.export(t, ns, "web")
	kit.Eventually(t, "all endpoints", b.wantAddresses(ns, "web", want...))
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	kit.Eventually(t, "status", a.wantCondition(ns, "web", "Conflict", metav1.ConditionFalse, "NoConflicts"))
	settle(t, a, b, c)
	before := mutations(t, b)
	_, err := a.kube.DiscoveryV1().EndpointSlices(ns).Patch(t.Context(), "web-3", types.MergePatchType, []byte(`{"endpoints":[{"addresses":["10.1.99.99"],"conditions":{"ready":true}}]}`), metav1.PatchOptions{})
	kit.Must(t, err)
	kit.Eventually(t, "change", func() error {
		got, err := b.addresses(ns, "web")
		if err == nil && (!got["a/10.1.99.99"] || len(got) != 901) {
			err = fmt.Errorf("%d endpoints", len(got))
		}
		return err
	})
	settle(t, b)
	if n := mutations(t, b) - before; n != 1 {
		t.Errorf("one changed slice cost %d writes in the consumer, want 1", n)
	}
}

// TestRestartIsQuiet_S5: a controller that starts where everything is in place writes nothing.
func TestRestartIsQuiet_S5(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a", AuditLog: true}, controlplane.Options{Name: "b", AuditLog: true})
	a, b := list[0], list[1]
	stop := run(t, register(list...), nil)
	const ns = "quiet"
	namespace(t, ns, a, b)
	for n := range 20 {
		name := fmt.Sprintf("web-%d", n)
		a.service(t, ns, name, func(s *corev1.Service) {
			if n%4 == 0 {
				s.Spec.ClusterIP = corev1.ClusterIPNone
			}
			if n%4 == 1 {
				s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
			}
		})
		a.slice(t, ns, name, "x", []string{fmt.Sprintf("10.1.0.%d", n+1)})
		a.export(t, ns, name)
	}
	for n := range 20 {
		kit.Eventually(t, "import", b.wantImported(ns, fmt.Sprintf("web-%d", n)))
		kit.Eventually(t, "own import", a.wantImported(ns, fmt.Sprintf("web-%d", n)))
	}
	settle(t, a, b)
	stop()
	done := map[*cluster]int{a: mutations(t, a), b: mutations(t, b)}

	run(t, register(list...), nil)
	a.service(t, ns, "last")
	a.export(t, ns, "last")
	kit.Eventually(t, "the new controller works", b.wantImported(ns, "last"))
	kit.Eventually(t, "and here", a.wantImported(ns, "last"))
	settle(t, a, b)
	for _, c := range list {
		creates := 0
		for _, r := range controllerRequests(t, c)[done[c]:] {
			switch {
			case r.Verb == "create":
				creates++ // the audit log does not always know the name of what is created
			case !strings.Contains(r.Name, "last"):
				t.Errorf("the restarted controller wrote in %s: %+v", c.Name(), r)
			}
		}
		if creates > 2+eventsAllowed {
			t.Errorf("%d creates in %s, want an import and a derived Service (and Events)", creates, c.Name())
		}
	}
}

// eventsAllowed is how many Events one new export and import may cause in a cluster.
const eventsAllowed = 3

// TestOwnerless_I2: taking the mark off hands the import over to the person; kubectl apply over it leaves it automatic.
func TestOwnerless_I2(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "handed-over"
	namespace(t, ns, a, b)
	a.service(t, ns, "web")
	a.export(t, ns, "web")
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	i, err := b.getImport(ns, "web")
	kit.Must(t, err)
	if i.Labels[mcsapi.LabelAutomatic] != "true" {
		t.Fatalf("labels %v", i.Labels)
	}
	kit.Must(t, b.mcs.Patch(types.MergePatchType).Namespace(ns).Resource("serviceimports").Name("web").
		Body([]byte(`{"metadata":{"labels":{"`+mcsapi.LabelAutomatic+`":null}}}`)).Do(t.Context()).Error())
	a.unexport(t, ns, "web")
	kit.Eventually(t, "not served", b.wantNotServed(ns, "web"))
	sentinel(t, ns, a, b)
	_, err = b.getImport(ns, "web") // the person's import stays
	kit.Must(t, err)
}
