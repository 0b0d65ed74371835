package fleet

import (
	"fmt"
	"github.com/clusterset/multicluster/test/controlplane"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"testing"
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
	eventually(t, "a", c.wantAddresses(ns, "web", "a/10.1.0.5"))
	b.service(t, ns, "web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
	b.slice(t, ns, "web", "x", []string{"10.2.0.5"})
	b.export(t, ns, "web")
	eventually(t, "conflict", b.wantCondition(ns, "web", "Conflict", metav1.ConditionTrue, "PortConflict,SessionAffinityConflict"))
	eventually(t, "import", c.wantImported(ns, "web"))
	was, err := c.getService(ns, "amcs-web")
	must(t, err)
	stop()

	must(t, a.KillAPIServer())
	run(t, register(list...), nil)
	b.service(t, ns, "new")
	b.export(t, ns, "new")
	eventually(t, "the others go on", c.wantImported(ns, "new"))
	holds(t, "nothing of a is lost", func() error {
		now, err := c.getService(ns, "amcs-web")
		if err != nil {
			return err
		}
		if now.UID != was.UID || now.Spec.ClusterIP != was.Spec.ClusterIP || now.Spec.Ports[0].Port != 80 || now.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
			return fmt.Errorf("derived Service %+v", now.Spec)
		}
		got, err := c.addresses(ns, "web")
		if err == nil && !got["a/10.1.0.5"] {
			err = fmt.Errorf("endpoints %v", got)
		}
		return err
	})
}

// TestMemberLeaves_L3: what a member exported goes from every consumer when it is removed from the set.
func TestMemberLeaves_L3(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
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
	eventually(t, "both", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
	source.set(registration(b), registration(c))
	eventually(t, "a's endpoints go", c.wantAddresses(ns, "web", "b/10.2.0.5"))
	eventually(t, "and its status entry", func() error {
		i, err := c.getImport(ns, "web")
		if err == nil && (len(i.Status.Clusters) != 1 || i.Status.Clusters[0].Cluster != "b") {
			err = fmt.Errorf("clusters %v", i.Status.Clusters)
		}
		return err
	})
	source.set(registration(a), registration(b), registration(c))
	eventually(t, "a returns", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
}
