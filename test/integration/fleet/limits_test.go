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
