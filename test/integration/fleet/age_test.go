package fleet

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestLyingAge_M1: a member whose API server gives an export a creationTimestamp of 2015 takes no name over that another
// cluster exported before: not when the export appears, not when one that was there changes its age, not after a restart of
// the controller, and not when it appears while no controller runs. A member that is met for the first time is believed,
// which an Event announces.
func TestLyingAge_M1(t *testing.T) {
	list := start(t, controlplane.Options{Name: "g"}, controlplane.Options{Name: "c"})
	g, c := list[0], list[1]
	const ns = provider.Namespace
	namespace(t, ns, g, c)
	appears, changes, meanwhile := provider.Other(0), exportedFirst, provider.Other(1)
	names := []string{appears, changes, meanwhile}
	for _, name := range names {
		g.service(t, ns, name, func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
		g.slice(t, ns, name, "x", []string{"10.1.0.5"})
		g.export(t, ns, name)
	}
	export, err := g.getExport(ns, meanwhile)
	kit.Must(t, err)
	kit.Eventually(t, "timestamps, which have seconds, tell them apart", func() error {
		if age := time.Since(export.CreationTimestamp.Time); age < 2*time.Second {
			return fmt.Errorf("the export is %s old", age)
		}
		return nil
	})

	ancient := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	simulated := func(id string) (*provider.Cluster, registration.Registration) {
		p := provider.New(id, 1, []string{exportedFirst}, 2, 1)
		server := provider.Serve(p)
		t.Cleanup(server.Close)
		cfg := &rest.Config{Host: server.URL() + "/" + id, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
		return p, registration.Registration{ID: id, Origin: "test " + id, Config: cfg, Revision: "1", Provider: true}
	}
	liar, lying := simulated("p")
	for i, name := range names {
		liar.Change(name, fmt.Sprintf("100.64.0.%d", i))
	}
	liar.ExportAs(changes, time.Now().Unix())
	honest, consumer := registered(g), registered(c)
	honest.Consumer, consumer.Provider = false, false
	source := &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{honest, consumer, lying}}
	stop := run(t, source, nil)

	services := map[string]types.UID{}
	for _, name := range names {
		kit.Eventually(t, name, c.wantImported(ns, name))
		s, err := c.getService(ns, "amcs-"+name)
		kit.Must(t, err)
		services[name] = s.UID
	}
	kit.Eventually(t, "both export it", c.wantAddresses(ns, changes, "g/10.1.0.5", "p/100.64.0.1"))
	unharmed := func() error {
		for _, name := range names {
			s, err := c.getService(ns, "amcs-"+name)
			if err != nil {
				return err
			}
			if s.UID != services[name] || s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
				return fmt.Errorf("the derived Service of %s: affinity %s, UID %s, was %s", name, s.Spec.SessionAffinity, s.UID, services[name])
			}
		}
		return nil
	}

	liar.ExportAs(appears, ancient.Unix())
	liar.ExportAs(changes, ancient.Unix())
	kit.Eventually(t, "its endpoints are used", c.wantAddresses(ns, appears, "g/10.1.0.5", "p/100.64.0.0"))
	kit.Eventually(t, "the honest member hears of the conflict, as the winner", g.wantVerdict(ns, appears,
		[4]string{"Conflict", "True", "SessionAffinityConflict", "ClientIP from g (oldest export) wins over None of p"}))
	liar.Change(changes, "100.64.9.9")
	kit.Eventually(t, "what changed arrived", c.wantAddresses(ns, changes, "g/10.1.0.5", "p/100.64.9.9"))
	sentinel(t, ns, g, c)
	kit.Must(t, unharmed()) // the name stays what it was

	stop()
	liar.ExportAs(meanwhile, ancient.Unix())
	stop = run(t, source, nil)
	kit.Eventually(t, "what appeared meanwhile", c.wantAddresses(ns, meanwhile, "g/10.1.0.5", "p/100.64.0.2"))
	sentinel(t, ns, g, c)
	kit.Must(t, unharmed()) // the verdict outlives the process
	stop()
	run(t, source, nil)
	liar.Change(appears, "100.64.9.8")
	kit.Eventually(t, "and another", c.wantAddresses(ns, appears, "g/10.1.0.5", "p/100.64.9.8"))
	sentinel(t, ns, g, c)
	kit.Must(t, unharmed()) // the verdict outlives that, too

	fresh, met := simulated("q")
	fresh.ExportAs(appears, ancient.Unix())
	source.set(honest, consumer, lying, met)
	kit.Eventually(t, "a member that is met for the first time is believed", func() error {
		s, err := c.getService(ns, "amcs-"+appears)
		if err == nil && s.Spec.SessionAffinity != corev1.ServiceAffinityNone {
			err = fmt.Errorf("session affinity %s", s.Spec.SessionAffinity)
		}
		return err
	})
	kit.Eventually(t, "an Event announces it", c.wantEvent(t, ns, appears, "PrecedenceChanged", "the export of q, created 2015-01-01"))
	kit.Eventually(t, "the honest member hears of it", g.wantCondition(ns, appears, "Conflict", metav1.ConditionTrue, "SessionAffinityConflict"))
}
