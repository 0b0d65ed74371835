package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestAbsentProvider_L3_L9: what a cluster exported is kept, in the merge too, while nothing is known of it, also by a
// controller that never saw it.
func TestAbsentProvider_L3_L9(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	stop := run(t, register(list...), nil)
	const ns = "absent"
	namespace(t, ns, a, b, c)
	a.service(t, ns, "web", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "a", c.wantAddresses(ns, "web", "a/10.1.0.5"))
	b.service(t, ns, "web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
	b.slice(t, ns, "web", "x", []string{"10.2.0.5"})
	b.export(t, ns, "web")
	kit.Eventually(t, "conflict", b.wantCondition(ns, "web", "Conflict", metav1.ConditionTrue, "PortConflict,SessionAffinityConflict"))
	kit.Eventually(t, "import", c.wantImported(ns, "web"))
	was, err := c.getService(ns, "amcs-web")
	kit.Must(t, err)
	stop()

	kit.Must(t, a.KillAPIServer())
	run(t, register(list...), nil)
	b.service(t, ns, "new")
	b.export(t, ns, "new")
	kit.Eventually(t, "the others go on", c.wantImported(ns, "new"))
	sentinel(t, ns, b, c)
	now, err := c.getService(ns, "amcs-web")
	kit.Must(t, err)
	if now.UID != was.UID || now.Spec.ClusterIP != was.Spec.ClusterIP || now.Spec.Ports[0].Port != 80 || now.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		t.Errorf("what a exports is lost: derived Service %+v", now.Spec)
	}
	if got, err := c.addresses(ns, "web"); err != nil || !got["a/10.1.0.5"] {
		t.Errorf("what a exports is lost: endpoints %v, %v", got, err)
	}
	// What is remembered of a still counts, so that the others are not held still with it.
	patch(t, b, ns, "web", `{"spec":{"ports":[{"name":"http","port":8080},{"name":"admin","port":9999}]}}`)
	b.slice(t, ns, "web", "y", []string{"10.2.0.6"}, func(s *discoveryv1.EndpointSlice) { *s.Ports[0].Name = "admin" })
	kit.Eventually(t, "another may add a port and an endpoint", func() error {
		now, err := c.getService(ns, "amcs-web")
		if err != nil {
			return err
		}
		if len(now.Spec.Ports) != 2 || now.Spec.Ports[0].Port != 80 || now.Spec.Ports[1].Port != 9999 ||
			now.UID != was.UID || now.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
			return fmt.Errorf("derived Service %+v", now.Spec)
		}
		return c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.6")()
	})
}

// TestMemberLeaves_L3: what a member exported goes from every consumer when it is removed from the set.
func TestMemberLeaves_L3(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c", AuditLog: true})
	a, b, c := list[0], list[1], list[2]
	source := register(list...)
	run(t, source, nil)
	const ns = "leaving"
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "web")
	}
	kit.Eventually(t, "both", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
	settle(t, c) // so that nothing but the leaving is an occasion to look at the name
	source.set(registered(b), registered(c))
	kit.Eventually(t, "a's endpoints go", c.wantAddresses(ns, "web", "b/10.2.0.5"))
	kit.Eventually(t, "and its status entry", func() error {
		i, err := c.getImport(ns, "web")
		if err == nil && (len(i.Status.Clusters) != 1 || i.Status.Clusters[0].Cluster != "b") {
			err = fmt.Errorf("clusters %v", i.Status.Clusters)
		}
		return err
	})
	source.set(registered(a), registered(b), registered(c))
	kit.Eventually(t, "a returns", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
}

// exportBothAndLast has a and b export service both, and a alone service last, and waits until c imports them.
func exportBothAndLast(t *testing.T, ns string, a, b, c *cluster) {
	t.Helper()
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, ns, "both")
		p.slice(t, ns, "both", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "both")
	}
	a.service(t, ns, "last")
	a.slice(t, ns, "last", "x", []string{"10.1.0.6"})
	a.export(t, ns, "last")
	kit.Eventually(t, "both", c.wantAddresses(ns, "both", "a/10.1.0.5", "b/10.2.0.5"))
	kit.Eventually(t, "last", c.wantAddresses(ns, "last", "a/10.1.0.6"))
}

// TestDeadProvider_L1_L2_L7: the endpoints of a provider that is dead for the grace period go where others remain, stay where
// it is the last, and return when it does; the merge is not touched (L9).
func TestDeadProvider_L1_L2_L7(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	run(t, register(list...), nil, withdrawing)
	const ns = "dead"
	exportBothAndLast(t, ns, a, b, c)
	kit.Eventually(t, "import", c.wantImported(ns, "both"))

	killed := time.Now()
	kit.Must(t, a.KillAPIServer())
	kit.Eventually(t, "the dead cluster's endpoints go", c.wantAddresses(ns, "both", "b/10.2.0.5"))
	// Grace counts from the last contact, which may be one probe before the end, and the time that a probe takes.
	if took := time.Since(killed); took < grace-probeInterval-grace/4 {
		t.Errorf("withdrawn after %s, before the grace period of %s", took, grace)
	}
	kit.Eventually(t, "and the import says so", func() error {
		i, err := c.getImport(ns, "both")
		if err == nil && (!strings.Contains(fmt.Sprint(i.Status.Conditions), "EndpointsWithdrawn") || len(i.Status.Clusters) != 2) {
			err = fmt.Errorf("status %+v", i.Status)
		}
		return err
	})
	sentinel(t, ns, b, c)
	kit.Must(t, c.wantAddresses(ns, "last", "a/10.1.0.6")()) // fail static: the last endpoints stay

	kit.Must(t, a.StartAPIServer(t.Context()))
	kit.Eventually(t, "they return with the cluster", c.wantAddresses(ns, "both", "a/10.1.0.5", "b/10.2.0.5"))
}

// TestCutOff_L2: when most providers vanish together it is we who are cut off, and nobody's endpoints are withdrawn.
func TestCutOff_L2(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	set, lead, _ := replica(t, register(list...), nil, withdrawing)
	lead()
	const ns = "cut-off"
	namespace(t, ns, a, b, c)
	for n, p := range list {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "web")
	}
	all := c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5", "c/10.3.0.5")
	kit.Eventually(t, "all", all)
	kit.Must(t, a.KillAPIServer())
	kit.Must(t, b.KillAPIServer())
	kit.Eventually(t, "the loss is noticed", func() error {
		if !set.Suspended() {
			return fmt.Errorf("withdrawal is not suspended")
		}
		return nil
	})
	killed := time.Now()
	kit.Eventually(t, "well past the grace period, with everything in place", func() error {
		if err := all(); err != nil {
			t.Fatal(err)
		}
		if time.Since(killed) < 2*grace {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}
