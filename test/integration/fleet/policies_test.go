package fleet

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestPolicies_L2_X5: with the policy keep, a dead provider's endpoints stay though others remain; with withdraw, they go
// though none remains. Two controllers of different clustersets do so side by side and leave each other's objects alone.
func TestPolicies_L2_X5(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c", AuditLog: true})
	a, b, c := list[0], list[1], list[2]
	namespace(t, "keep", a, b, c)
	namespace(t, "withdraw", a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, "keep", "both")
		p.slice(t, "keep", "both", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, "keep", "both")
	}
	a.service(t, "withdraw", "last")
	a.slice(t, "withdraw", "last", "x", []string{"10.1.0.6"})
	a.export(t, "withdraw", "last")
	for _, policy := range []liveness.Policy{liveness.Keep, liveness.Withdraw} {
		source := register(list...)
		for i := range source.list {
			source.list[i].Limits.Imports = registration.Namespaces{string(policy)}
			source.list[i].ExportStatus = false // one writer per object
		}
		run(t, source, func(o *controller.Options) { o.ClusterSet, o.Withdrawal = string(policy), policy }, withdrawing)
	}
	both, last := c.wantAddresses("keep", "both", "a/10.1.0.5", "b/10.2.0.5"), c.wantAddresses("withdraw", "last", "a/10.1.0.6")
	kit.Eventually(t, "both", both)
	kit.Eventually(t, "last", last)
	kit.Eventually(t, "imports", c.wantImported("keep", "both"))
	kit.Eventually(t, "imports", c.wantImported("withdraw", "last"))
	settle(t, c)
	derived, err := c.getService("withdraw", "amcs-last")
	kit.Must(t, err)

	kit.Must(t, a.KillAPIServer())
	kit.Eventually(t, "the last endpoints go, too", c.wantAddresses("withdraw", "last"))
	kit.Eventually(t, "the import says so", c.wantSaid("withdraw", "last", "Unreachable", "a: unreachable, endpoints withdrawn"))
	kit.Eventually(t, "the other import says that they are kept", c.wantSaid("keep", "both", "Unreachable", "a: unreachable, endpoints kept as last known"))
	settle(t, c)
	kit.Must(t, both()) // they are
	now, err := c.getService("withdraw", "amcs-last")
	kit.Must(t, err)
	if now.UID != derived.UID || now.Spec.ClusterIP != derived.Spec.ClusterIP {
		t.Error("the derived Service was replaced (L9)")
	}
	kit.Must(t, a.StartAPIServer(t.Context()))
	kit.Eventually(t, "they return", last)
	settle(t, c)
	for _, r := range controllerRequests(t, c) {
		if r.Code >= 400 && r.Code != http.StatusConflict {
			t.Errorf("refused: %+v", r)
		}
	}
}

// TestOlderAppears_M1: an export that is older than those known wins when its cluster is met; the newer one hears of the
// conflict, and an Event on the import announces the effect.
func TestOlderAppears_M1(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c"})
	a, b, c := list[0], list[1], list[2]
	const ns = "older"
	namespace(t, ns, a, b, c)
	a.service(t, ns, "web", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	older, err := a.getExport(ns, "web")
	kit.Must(t, err)
	kit.Eventually(t, "timestamps, which have seconds, tell them apart", func() error {
		if age := time.Since(older.CreationTimestamp.Time); age < 2*time.Second {
			return fmt.Errorf("the export is %s old", age)
		}
		return nil
	})
	b.service(t, ns, "web")
	b.slice(t, ns, "web", "x", []string{"10.2.0.5"})
	b.export(t, ns, "web")
	source := register(b, c)
	run(t, source, nil)
	kit.Eventually(t, "b's alone", c.wantImported(ns, "web"))
	kit.Eventually(t, "no conflict", b.wantCondition(ns, "web", "Conflict", metav1.ConditionFalse, "NoConflicts"))
	affinity := func(want corev1.ServiceAffinity) func() error {
		return func() error {
			s, err := c.getService(ns, "amcs-web")
			if err == nil && s.Spec.SessionAffinity != want {
				err = fmt.Errorf("session affinity %s, want %s", s.Spec.SessionAffinity, want)
			}
			return err
		}
	}
	kit.Must(t, affinity(corev1.ServiceAffinityNone)())

	source.set(registered(a), registered(b), registered(c))
	kit.Eventually(t, "the older wins", affinity(corev1.ServiceAffinityClientIP))
	kit.Eventually(t, "an Event announces it", c.wantEvent(t, ns, "web", "PrecedenceChanged", "the export of a, created "))
	kit.Eventually(t, "the newer hears of it", b.wantCondition(ns, "web", "Conflict", metav1.ConditionTrue, "SessionAffinityConflict"))
	e, err := b.getExport(ns, "web")
	kit.Must(t, err)
	if m := condition(e.Status.Conditions, "Conflict").Message; !strings.Contains(m, "a (oldest export)") {
		t.Errorf("it says %q", m)
	}
	kit.Eventually(t, "endpoints of both", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
}
