package fleet

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestDisagreement_I3: an import whose fields disagree with the exports: what agrees works, what does not is named.
func TestDisagreement_I3(t *testing.T) {
	a, b, _ := withOnDemand(t)
	const ns = "disagreement"
	namespace(t, ns, a, b)
	for name, c := range map[string]struct {
		change func(*mcs.ServiceImport)
		named  []string // what the conditions must name
		served bool
	}{
		"type":     {func(i *mcs.ServiceImport) { i.Spec.Type = mcs.Headless }, []string{"type", "Headless", "ClusterSetIP"}, false},
		"number":   {func(i *mcs.ServiceImport) { i.Spec.Ports[0].Port = 81 }, []string{"port", "81"}, false},
		"protocol": {func(i *mcs.ServiceImport) { i.Spec.Ports[0].Protocol = corev1.ProtocolUDP }, []string{"port", "UDP"}, false},
		"affinity": {func(i *mcs.ServiceImport) { i.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }, []string{"sessionAffinity", "ClientIP", "None"}, true},
		"extra-port": {func(i *mcs.ServiceImport) {
			i.Spec.Ports = append(i.Spec.Ports, mcs.ServicePort{Name: "more", Port: 99, Protocol: corev1.ProtocolTCP})
		}, []string{"more", "99"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a.service(t, ns, name)
			a.slice(t, ns, name, "x", []string{"10.1.0.5"})
			a.export(t, ns, name)
			b.importOf(t, ns, name, c.change)
			kit.Eventually(t, "conditions name it", func() error {
				i, err := b.getImport(ns, name)
				if err != nil {
					return err
				}
				for _, word := range c.named {
					if !strings.Contains(fmt.Sprint(i.Status.Conditions), word) {
						return fmt.Errorf("conditions do not name %q: %+v", word, i.Status.Conditions)
					}
				}
				return nil
			})
			if c.served {
				kit.Eventually(t, "what agrees works", b.wantImported(ns, name))
				kit.Eventually(t, "with endpoints", b.wantAddresses(ns, name, "a/10.1.0.5"))
			} else {
				sentinel(t, ns, a, b)
				kit.Must(t, b.wantNotServed(ns, name)())
			}
		})
	}
}

// TestSwitch: turning automatic imports off and on again loses nothing (I2).
func TestSwitch(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"})
	a, b := list[0], list[1]
	const ns = "switch"
	namespace(t, ns, a, b)
	stop := run(t, register(list...), nil)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "automatic", b.wantImported(ns, "web"))
	was, err := b.getService(ns, "amcs-web")
	kit.Must(t, err)
	stop()
	stop = run(t, register(list...), func(o *controller.Options) { o.Automatic = false })
	b.importOf(t, ns, "marker")
	a.service(t, ns, "marker")
	a.export(t, ns, "marker")
	kit.Eventually(t, "on-demand works", b.wantImported(ns, "marker"))
	sentinel(t, ns, a, b)
	now, err := b.getService(ns, "amcs-web") // what was imported stays
	kit.Must(t, err)
	if now.UID != was.UID {
		t.Error("the derived Service was replaced")
	}
	stop()
	run(t, register(list...), nil)
	a.service(t, ns, "again")
	a.export(t, ns, "again")
	kit.Eventually(t, "automatic again", b.wantImported(ns, "again"))
	kit.Must(t, b.wantImported(ns, "web")())
}
