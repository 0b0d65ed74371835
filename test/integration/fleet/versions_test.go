package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestSchemaV010_A7: a consumer with the CRDs of mcs-api v0.1.0 gets what its schema has room for, without endless writes.
func TestSchemaV010_A7(t *testing.T) {
	a := start(t, controlplane.Options{Name: "a", AuditLog: true})[0]
	old := connect(t, controlplane.ForTest(t, controlplane.Options{Name: "old", AuditLog: true, ServiceCIDRs: []string{"10.98.0.0/16", "fd00:98::/112"}}))
	kit.Must(t, old.InstallCRDsV010(t.Context()))
	client, err := mcsapi.NewClient(old.Config(), "v1alpha1")
	kit.Must(t, err)
	old.mcs = client
	run(t, register(a, old), nil)
	const ns = "old-schema"
	namespace(t, ns, a, old)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	served := func() error {
		i, err := old.getImport(ns, "web")
		if err != nil {
			return err
		}
		derived, err := old.getService(ns, "amcs-web")
		if err != nil {
			return err
		}
		if len(i.Spec.IPs) != 1 || i.Spec.IPs[0] != derived.Spec.ClusterIP {
			return fmt.Errorf("ips %v of %v", i.Spec.IPs, derived.Spec.ClusterIPs)
		}
		return nil
	}
	kit.Eventually(t, "imported", served)
	kit.Eventually(t, "endpoints", old.wantAddresses(ns, "web", "a/10.1.0.5"))
	settle(t, old)

	// And the other way: an export of the old schema has no room for Ready, or it has; either way it is not written again.
	old.service(t, ns, "db")
	old.slice(t, ns, "db", "x", []string{"10.8.0.5"})
	old.export(t, ns, "db")
	kit.Eventually(t, "exported from the old one", a.wantImported(ns, "db"))
	settle(t, old, a)

	// A node that comes is an occasion to look at every name (X2), but none to learn the schema again by writing (S5).
	before := len(controllerRequests(t, old))
	old.node(t, "new", "10.77.0.1")
	a.service(t, ns, "later")
	a.export(t, ns, "later")
	kit.Eventually(t, "a name that is exported after that", func() error {
		_, err := old.getService(ns, "amcs-later")
		return err
	})
	settle(t, old, a)
	for _, r := range controllerRequests(t, old)[before:] {
		if !strings.Contains(r.Name, "later") && r.Name != "" {
			t.Errorf("for a node: %+v", r)
		}
	}
}

// TestVersionSwitch_A7: a cluster that serves another version of the API while the controller runs is followed.
func TestVersionSwitch_A7(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"})
	a, b := list[0], list[1]
	kit.Must(t, b.SetServedVersions(t.Context(), "v1alpha1"))
	alpha, err := mcsapi.NewClient(b.Config(), "v1alpha1")
	kit.Must(t, err)
	beta := b.mcs
	b.mcs = alpha
	run(t, register(list...), nil)
	const ns = "versions"
	namespace(t, ns, a, b)
	a.service(t, ns, "one")
	a.export(t, ns, "one")
	kit.Eventually(t, "v1alpha1 only", b.wantImported(ns, "one"))

	kit.Must(t, b.SetServedVersions(t.Context(), "v1beta1"))
	b.mcs = beta
	a.service(t, ns, "two")
	a.export(t, ns, "two")
	kit.Eventually(t, "v1beta1 only", b.wantImported(ns, "two"))
	kit.Must(t, b.wantImported(ns, "one")())
	kit.Eventually(t, "what there was names its owner by the version that is served (S1)", func() error {
		s, err := b.getService(ns, "amcs-one")
		if err == nil && (len(s.OwnerReferences) != 1 || s.OwnerReferences[0].APIVersion != mcsapi.Group+"/v1beta1") {
			err = fmt.Errorf("owners %+v", s.OwnerReferences)
		}
		return err
	})
}
