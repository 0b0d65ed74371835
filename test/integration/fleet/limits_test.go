package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
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
	declared := registered(p)
	declared.Consumer = false
	declared.Limits.EndpointCIDRs = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.97.0.0/24")}
	source := &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{declared, registered(c)}}
	run(t, source, nil)
	const ns = "ranges"
	namespace(t, ns, p, c)
	p.service(t, ns, "web")
	p.slice(t, ns, "web", "x", []string{"10.1.0.5", "10.2.0.5", "10.97.0.7", "192.168.3.4"})
	p.slice(t, ns, "web", "y", []string{"10.1.0.6"})
	p.export(t, ns, "web")
	kit.Eventually(t, "the rest is served", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6"))
	kit.Eventually(t, "and ready", c.wantImported(ns, "web"))
	refused := []string{
		"p: 10.2.0.5 (outside the cluster's declared CIDRs)", "10.97.0.7 (in this cluster's service range)", "192.168.3.4 (outside the cluster's declared CIDRs)",
	}
	kit.Eventually(t, "the import names them", c.wantSaid(ns, "web", "Refused", refused...))
	kit.Eventually(t, "an Event, too", c.wantEvent(t, ns, "web", "EndpointsRefused", refused[0]))

	declared.Limits.EndpointCIDRs = append(declared.Limits.EndpointCIDRs, netip.MustParsePrefix("10.2.0.0/16"))
	source.set(declared, registered(c))
	kit.Eventually(t, "more is declared", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6", "p/10.2.0.5"))
	declared.Limits.EndpointCIDRs = nil
	source.set(declared, registered(c))
	kit.Eventually(t, "nothing is declared", c.wantAddresses(ns, "web", "p/10.1.0.5", "p/10.1.0.6", "p/10.2.0.5", "p/192.168.3.4"))
	kit.Eventually(t, "the Service range is refused still", c.wantSaid(ns, "web", "Refused", "not imported: p: 10.97.0.7 (in this cluster's service range)"))
}

// TestEventSeries_X6: what happens to an import again and again, which a member can cause at will, is one Event that counts;
// what reads otherwise is another.
func TestEventSeries_X6(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "c"})
	p, c := list[0], list[1]
	run(t, register(p, c), nil)
	const ns, first, second = "series", "192.0.2.1", "192.0.2.2"
	namespace(t, ns, p, c)
	p.service(t, ns, "web")
	p.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	p.export(t, ns, "web")
	own := p.kube.DiscoveryV1().EndpointSlices(ns)
	for _, refused := range []string{first, "", first, "", first, "", second} {
		s, err := own.Get(t.Context(), "web-x", metav1.GetOptions{})
		kit.Must(t, err)
		s.Endpoints = s.Endpoints[:1]
		said := c.wantSaid(ns, "web", "Refused")
		if refused != "" {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{refused}})
			said = c.wantSaid(ns, "web", "Refused", refused)
		}
		_, err = own.Update(t.Context(), s, metav1.UpdateOptions{})
		kit.Must(t, err)
		kit.Eventually(t, "the import says so", said)
	}
	kit.Eventually(t, "an Event for each text, of which one counts", func() error {
		events, err := c.kube.EventsV1().Events(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		var said []string
		for _, e := range events.Items {
			if e.Regarding.ResourceVersion != "" {
				t.Fatalf("an Event is about version %q", e.Regarding.ResourceVersion)
			}
			if e.Reason == "EndpointsRefused" {
				_, address, _ := strings.Cut(e.Note, "p: ")
				said = append(said, fmt.Sprintf("%.9s %v", address, e.Series != nil))
			}
		}
		slices.Sort(said)
		if want := []string{first + " true", second + " false"}; !slices.Equal(said, want) {
			return fmt.Errorf("there are %q, want %q", said, want)
		}
		return nil
	})
}

// TestNamespaceLimits_X3: a member exports only from the namespaces that it may export from, and only into those is imported
// that are allowed, which those of Kubernetes are not unless they are named. Each refusal is said where people look, and what
// is allowed again comes back.
func TestNamespaceLimits_X3(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "c"})
	p, c := list[0], list[1]
	provider, consumer := registered(p), registered(c)
	provider.Consumer, consumer.Provider = false, false
	provider.Limits.Exports = registration.Namespaces{"shop", "kube-*", "closed"}
	consumer.Limits.Imports = registration.Namespaces{"shop", "denied"}
	source := &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{provider, consumer}}
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
	kit.Eventually(t, "allowed on both sides", c.wantImported("shop", "web"))
	kit.Eventually(t, "its endpoints", c.wantAddresses("shop", "web", "p/10.1.0.5"))
	kit.Eventually(t, "the export is refused", p.wantCondition("denied", "web", "Valid", metav1.ConditionFalse, "NamespaceNotAllowed"))
	kit.Eventually(t, "and failed", p.wantCondition("denied", "web", "Ready", metav1.ConditionFalse, "Failed"))
	kit.Eventually(t, "and the import", c.wantSaid("denied", "web", "Ready", mayNot))
	kit.Eventually(t, "the import is refused", c.wantSaid("closed", "web", "Ready", closed))
	kit.Eventually(t, "the export knows", func() error {
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
	kit.Must(t, c.wantGone("kube-system", "web")())

	provider.Limits.Exports, consumer.Limits.Imports = nil, registration.Namespaces{"denied", "closed", "kube-system"}
	source.set(provider, consumer)
	for _, ns := range []string{"denied", "closed", "kube-system"} {
		kit.Eventually(t, ns+" is allowed", c.wantImported(ns, "web"))
		kit.Eventually(t, ns+" is served", c.wantAddresses(ns, "web", "p/10.1.0.5"))
	}
	kit.Eventually(t, "what is closed goes", c.wantGone("shop", "web"))
	kit.Eventually(t, "the export is valid", p.wantCondition("denied", "web", "Valid", metav1.ConditionTrue, "Valid"))
}

// TestExportedKeys_X5: exported labels and annotations that belong to another controller reach import and derived Service only
// where the member's registration allows it. What is refused is named on both sides, and what is allowed may change at any
// time, in both directions, also for a member that is away.
func TestExportedKeys_X5(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "c"})
	p, c := list[0], list[1]
	provider, consumer := registered(p), registered(c)
	provider.Consumer, consumer.Provider = false, false
	source := &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{provider, consumer}}
	stop := run(t, source, nil)
	const (
		ns         = "keys"
		ambassador = "getambassador.io/config"
		cilium     = "service.cilium.io/global"
	)
	namespace(t, ns, p, c)
	p.service(t, ns, "web")
	p.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	p.export(t, ns, "web", func(e *mcs.ServiceExport) {
		e.Spec.ExportedLabels = map[string]string{"team": "blue", "istio.io/use-waypoint": "other"}
		e.Spec.ExportedAnnotations = map[string]string{"note": "hello", ambassador: "x", cilium: "true", "prometheus.io/scrape": "true"}
	})
	carries := func(want ...string) func() error {
		return func() error {
			i, err := c.getImport(ns, "web")
			if err != nil {
				return err
			}
			derived, err := c.getService(ns, "amcs-web")
			if err != nil {
				return err
			}
			for what, o := range map[string]metav1.Object{"import": i, "derived Service": derived} {
				var got []string
				for _, key := range []string{"team", "note", "istio.io/use-waypoint", ambassador, cilium, "prometheus.io/scrape"} {
					if o.GetLabels()[key]+o.GetAnnotations()[key] != "" {
						got = append(got, key)
					}
				}
				if !slices.Equal(got, want) {
					return fmt.Errorf("%s carries %q, want %q", what, got, want)
				}
			}
			return nil
		}
	}
	const why = " (not in exported-keys of the cluster's registration)"
	kit.Eventually(t, "it is imported", c.wantImported(ns, "web"))
	kit.Eventually(t, "the import names what is refused", c.wantSaid(ns, "web", "Refused",
		"p: label istio.io/use-waypoint"+why, "annotation "+ambassador+why, "annotation "+cilium+why, "annotation prometheus.io/scrape"+why))
	kit.Eventually(t, "only keys without a domain", carries("team", "note"))
	kit.Eventually(t, "an Event, too", c.wantEvent(t, ns, "web", "KeysRefused", ambassador))
	kit.Eventually(t, "and the export", p.wantVerdict(ns, "web", [4]string{"Refused", "True", "KeysRefused", "annotation " + cilium + why}))

	provider.Limits.Keys = registration.Keys{"istio.io", ambassador}
	source.set(provider, consumer)
	kit.Eventually(t, "what is allowed now", carries("team", "note", "istio.io/use-waypoint", ambassador))
	kit.Eventually(t, "the rest is refused still", c.wantSaid(ns, "web", "Refused", "not imported: p: annotation prometheus.io/scrape"+why))

	kit.Must(t, p.KillAPIServer())
	stop()
	provider.Limits.Keys = nil
	run(t, &registrations{list: []registration.Registration{provider, consumer}}, nil)
	kit.Eventually(t, "what is not allowed any longer goes", carries("team", "note"))
	kit.Eventually(t, "and is served still", c.wantAddresses(ns, "web", "p/10.1.0.5"))
}
