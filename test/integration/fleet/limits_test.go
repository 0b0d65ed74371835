package fleet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/test/controlplane"
)

// wantSaid is a condition for eventually: the import says all of what under a type of condition; nothing means that there
// is no such condition.
func (c *cluster) wantSaid(ns, name, kind string, what ...string) func() error {
	return func() error {
		i, err := c.getImport(ns, name)
		if err != nil {
			return err
		}
		got := condition(i.Status.Conditions, kind)
		if got == nil && len(what) == 0 {
			return nil
		}
		if got == nil || len(what) == 0 {
			return fmt.Errorf("import %s/%s in %s: want %s to say %q, has %+v", ns, name, c.Name(), kind, what, i.Status.Conditions)
		}
		for _, w := range what {
			if !strings.Contains(got.Message, w) {
				return fmt.Errorf("import %s/%s in %s: %s says %q, want %q", ns, name, c.Name(), kind, got.Message, w)
			}
		}
		return nil
	}
}

// wantEvent is a condition for eventually: there is an Event about an object of the name, of the reason, that says what.
func (c *cluster) wantEvent(t testing.TB, ns, name, reason, what string) func() error {
	return func() error {
		list, err := c.kube.EventsV1().Events(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		var said []string
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Reason == reason && strings.Contains(e.Note, what) {
				return nil
			}
			said = append(said, e.Regarding.Name+" "+e.Reason+": "+e.Note)
		}
		return fmt.Errorf("no Event %s about %s says %q; there are %q", reason, name, what, said)
	}
}

// TestRanges_X2: endpoints outside the ranges that were declared for their cluster, and in the Service range of the consumer,
// are refused with address and reason, on the import and in an Event; the rest of the slice is served. What is declared may
// change while the controller runs, and costs no membership.
func TestRanges_X2(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"},
		controlplane.Options{Name: "c", ServiceCIDRs: []string{"10.97.0.0/16"}})
	p, c := list[0], list[1]
	declared := registration(p)
	declared.Consumer = false
	declared.Limits.EndpointCIDRs = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.97.0.0/24")}
	source := &members{changed: make(chan struct{}, 1), list: []clusters.Registration{declared, registration(c)}}
	run(t, source, nil)
	const ns = "ranges"
	namespace(t, ns, p, c)
	p.service(t, ns, "web")
	p.slice(t, ns, "web", "x", []string{"10.1.0.5", "10.2.0.5", "10.97.0.7", "192.168.3.4"})
	p.slice(t, ns, "web", "y", []string{"10.1.0.6"})
	p.export(t, ns, "web")
	eventually(t, "the rest is served", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6"))
	eventually(t, "and ready", c.wantImported(ns, "web"))
	refused := []string{
		"p: 10.2.0.5 (outside the cluster's declared CIDRs)", "10.97.0.7 (in this cluster's service range)", "192.168.3.4 (outside the cluster's declared CIDRs)",
	}
	eventually(t, "the import names them", c.wantSaid(ns, "web", "Refused", refused...))
	eventually(t, "an Event, too", c.wantEvent(t, ns, "web", "EndpointsRefused", refused[0]))

	declared.Limits.EndpointCIDRs = append(declared.Limits.EndpointCIDRs, netip.MustParsePrefix("10.2.0.0/16"))
	source.set(declared, registration(c))
	eventually(t, "more is declared", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6", "p/10.2.0.5"))
	declared.Limits.EndpointCIDRs = nil
	source.set(declared, registration(c))
	eventually(t, "nothing is declared", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6", "p/10.2.0.5", "p/192.168.3.4"))
	eventually(t, "the Service range is refused still", c.wantSaid(ns, "web", "Refused", "not imported: p: 10.97.0.7 (in this cluster's service range)"))
}

// TestNamespaceLimits_X3: a member exports only from the namespaces that it may export from, and only into those is imported
// that are allowed, which those of Kubernetes are not unless they are named. Each refusal is said where people look, and what
// is allowed again comes back.
func TestNamespaceLimits_X3(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "c"})
	p, c := list[0], list[1]
	provider, consumer := registration(p), registration(c)
	provider.Consumer, consumer.Provider = false, false
	provider.Limits.Exports = clusters.Namespaces{"shop", "kube-*", "closed"}
	consumer.Limits.Imports = clusters.Namespaces{"shop", "denied"}
	source := &members{changed: make(chan struct{}, 1), list: []clusters.Registration{provider, consumer}}
	run(t, source, nil)
	for _, ns := range []string{"shop", "denied", "closed", "kube-system"} {
		namespace(t, ns, p, c)
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{"10.1.0.5"})
		p.export(t, ns, "web")
	}
	c.importOf(t, "denied", "web")
	c.importOf(t, "closed", "web")
	const (
		mayNot = "cluster p may not export from namespace denied, only from shop, kube-*, closed"
		closed = "services of namespace closed are not imported into cluster c; its import-namespaces would have to allow that"
	)
	eventually(t, "allowed on both sides", c.wantImported("shop", "web"))
	eventually(t, "its endpoints", c.wantAddresses("shop", "web", "p/10.1.0.5"))
	eventually(t, "the export is refused", p.wantCondition("denied", "web", "Valid", metav1.ConditionFalse, "NamespaceNotAllowed"))
	eventually(t, "and failed", p.wantCondition("denied", "web", "Ready", metav1.ConditionFalse, "Failed"))
	eventually(t, "and the import", c.wantSaid("denied", "web", "Ready", mayNot))
	eventually(t, "the import is refused", c.wantSaid("closed", "web", "Ready", closed))
	eventually(t, "the export knows", func() error {
		e, err := p.getExport("kube-system", "web")
		if err != nil {
			return err
		}
		if got := condition(e.Status.Conditions, "Ready"); got == nil || !strings.Contains(got.Message, "namespace kube-system is not imported into c") {
			return fmt.Errorf("conditions %+v", e.Status.Conditions)
		}
		return nil
	})
	sentinel(t, "shop", p, c)
	for _, ns := range []string{"denied", "closed", "kube-system"} {
		if err := c.wantNotServed(ns, "web")(); err != nil {
			t.Errorf("%s is imported: %v", ns, err)
		}
	}
	must(t, c.wantGone("kube-system", "web")())

	provider.Limits.Exports, consumer.Limits.Imports = nil, clusters.Namespaces{"denied", "closed", "kube-system"}
	source.set(provider, consumer)
	for _, ns := range []string{"denied", "closed", "kube-system"} {
		eventually(t, ns+" is allowed", c.wantImported(ns, "web"))
		eventually(t, ns+" is served", c.wantAddresses(ns, "web", "p/10.1.0.5"))
	}
	eventually(t, "what is closed goes", c.wantGone("shop", "web"))
	eventually(t, "the export is valid", p.wantCondition("denied", "web", "Valid", metav1.ConditionTrue, "Valid"))
}
