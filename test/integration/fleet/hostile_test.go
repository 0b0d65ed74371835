package fleet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// hostile is something that a member does which means harm, or might as well, with the Service and export of the row's name.
// Another member exports each of the names, too, with one endpoint, before.
type hostile struct {
	// service, export and slice change the ordinary objects before they are created; nil leaves them as they are.
	service func(*corev1.Service)
	export  func(*mcs.ServiceExport)
	slice   func(*discoveryv1.EndpointSlice)
	// here prepares the consumer.
	here func(t *testing.T, c *cluster, name string)

	// imported are the endpoints that come from the hostile member all the same.
	imported []string
	// said is what the import says, by type of condition; verdict what the export does: type, status, reason and words.
	said    map[string]string
	verdict [4]string
	// unserved says that the name can't be served at all.
	unserved bool
}

const long63 = "n23456789012345678901234567890123456789012345678901234567890123"

func addresses(list ...string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = nil
		for _, a := range list {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
		}
	}
}

func labels(pairs ...string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) {
		for i := 0; i < len(pairs); i += 2 {
			s.Labels[pairs[i]] = pairs[i+1]
		}
	}
}

func invalid(reason, words string) [4]string { return [4]string{"Valid", "False", reason, words} }

var hostiles = map[string]hostile{
	"nothing": {imported: []string{"p/10.1.0.5"}},
	// SPEC X2: addresses.
	"service-range": {
		slice: addresses("10.97.0.10", "10.1.0.5"), imported: []string{"p/10.1.0.5"},
		said: map[string]string{"Refused": "p: 10.97.0.10 (in this cluster's service range)"},
	},
	"a-node": {
		slice: addresses("10.1.9.9", "10.1.0.5"), imported: []string{"p/10.1.0.5"},
		here: func(t *testing.T, c *cluster, name string) { c.node(t, name, "10.1.9.9") },
		said: map[string]string{"Refused": "p: 10.1.9.9 (a node of this cluster)"},
	},
	"elsewhere": {
		slice: addresses("10.2.0.5", "10.1.0.5"), imported: []string{"p/10.1.0.5"}, // that of the other member
		said: map[string]string{"Refused": "p: 10.2.0.5 (outside the cluster's declared CIDRs)"},
	},
	"fqdn": {slice: func(s *discoveryv1.EndpointSlice) {
		s.AddressType = discoveryv1.AddressTypeFQDN
		addresses("evil.example.org")(s)
	}},
	// SPEC X4: a member speaks only for itself.
	"claims-another": {slice: labels(mcsapi.LabelSourceCluster, "g")},
	"pretends-imported": {slice: labels(mcsapi.LabelSourceCluster, "g", mcsapi.LabelServiceName, "pretends-imported",
		mcsapi.LabelClusterSet, "test", discoveryv1.LabelManagedBy, mcsapi.ManagedBy)},
	"exports-imported": {
		service: func(s *corev1.Service) { s.Labels = map[string]string{mcsapi.LabelClusterSet: "test"} },
		verdict: invalid("InvalidServiceType", "imported services are not exported again"),
	},
	// SPEC M1: precedence can't be had by a timestamp, which the API server sets.
	"oldest": {
		export:   func(e *mcs.ServiceExport) { e.CreationTimestamp = metav1.NewTime(time.Unix(1, 0)) },
		service:  func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP },
		imported: []string{"p/10.1.0.5"},
		verdict:  [4]string{"Conflict", "True", "SessionAffinityConflict", "g (oldest export)"},
		said:     map[string]string{"Conflict": "g (oldest export)"},
	},
	"newest": {
		export:   func(e *mcs.ServiceExport) { e.CreationTimestamp = metav1.NewTime(time.Now().AddDate(100, 0, 0)) },
		imported: []string{"p/10.1.0.5"},
	},
	// SPEC X2: sizes and names.
	"many-ports": {
		service: func(s *corev1.Service) {
			s.Spec.Ports = nil
			for i := range int32(10000) {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: i + 1, Protocol: corev1.ProtocolTCP})
			}
		},
		verdict: invalid("InvalidPorts", "10000 ports, of which at most 1000 can be exported"),
	},
	"big-annotations": {
		export: func(e *mcs.ServiceExport) {
			e.Spec.ExportedAnnotations = map[string]string{"fine": "yes"}
			for i := range 4 {
				e.Spec.ExportedAnnotations[fmt.Sprintf("k%d", i)] = strings.Repeat("x", 256<<10)
			}
		},
		imported: []string{"p/10.1.0.5"},
		verdict:  [4]string{"Refused", "True", "KeysRefused", "annotation k0 (more than 32 KiB of labels and annotations)"},
	},
	"our-labels": {
		export: func(e *mcs.ServiceExport) {
			e.Spec.ExportedLabels = map[string]string{mcsapi.LabelAutomatic: "false", "kubernetes.io/x": "y", "bad value": "-"}
		},
		imported: []string{"p/10.1.0.5"},
		verdict:  [4]string{"Refused", "True", "KeysRefused", "label clusterset.dev/automatic (reserved domain)"},
	},
	long63: {imported: []string{"p/10.1.0.5"}},
	"external": {
		service: func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "evil.example.org"}
		},
		verdict: invalid("InvalidServiceType", "of type ExternalName"),
	},
	// SPEC X5: what is not ours here is left alone.
	"shadows": {
		here:     func(t *testing.T, c *cluster, name string) { c.service(t, "hostile", "amcs-"+name) },
		said:     map[string]string{"Ready": "a Service amcs-shadows that this controller did not create is in the way"},
		unserved: true,
	},
}

// refusedAtHome are endpoints that the API server of any honest cluster refuses; controller/plan holds that those of a
// dishonest one are refused, too.
var refusedAtHome = map[string]func(*discoveryv1.EndpointSlice){
	"loopback": addresses("127.0.0.1"), "link-local": addresses("169.254.169.254"), "multicast": addresses("224.0.0.1"),
	"unspecified": addresses("0.0.0.0"), "no address": addresses("evil"),
	"hostname": func(s *discoveryv1.EndpointSlice) { name := "Not A Label"; s.Endpoints[0].Hostname = &name },
	"too many": addresses(strings.Split(strings.Repeat("10.1.0.5 ", 1000)+"10.1.0.5", " ")...),
}

// TestHostileMember_X2_X3_X4_X5: whatever a member does, what is refused is refused with a reason that is said, what is good
// of it is served, and nothing of anybody else is disturbed.
func TestHostileMember_X2_X3_X4_X5(t *testing.T) {
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "g"},
		controlplane.Options{Name: "c", AuditLog: true, ServiceCIDRs: []string{"10.97.0.0/16"}})
	p, g, c := list[0], list[1], list[2]
	limited, good, consumer := registered(p), registered(g), registered(c)
	limited.Consumer, good.Consumer, consumer.Provider = false, false, false
	limited.Limits.EndpointCIDRs = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	limited.Limits.Exports = registration.Namespaces{"hostile"}
	run(t, &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{limited, good, consumer}}, nil)
	namespace(t, "hostile", p, g, c)
	namespace(t, "denied", p, g, c)
	offer := func(m *cluster, ns, name, address string, row hostile) {
		m.service(t, ns, name, some(row.service)...)
		m.slice(t, ns, name, "x", []string{address}, some(row.slice)...)
		m.export(t, ns, name, some(row.export)...)
	}
	for name, row := range hostiles {
		if row.here != nil {
			row.here(t, c, name)
		}
		offer(g, "hostile", name, "10.2.0.5", hostile{})
	}
	offer(g, "denied", "web", "10.2.0.5", hostile{})
	kit.Eventually(t, "the good member's", func() error {
		for name, row := range hostiles {
			if err := c.wantImported("hostile", name)(); err != nil && !row.unserved {
				return err
			}
		}
		return c.wantImported("denied", "web")()
	})
	kit.Eventually(t, "its endpoints", c.wantAddresses("denied", "web", "g/10.2.0.5"))
	settle(t, c)
	untouched := map[string]string{"denied": c.versions(t, "denied", "web"), "nothing": c.versions(t, "hostile", "nothing")}

	for name, change := range refusedAtHome {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "x"}, AddressType: discoveryv1.AddressTypeIPv4}
		addresses("10.1.0.5")(s)
		change(s)
		if _, err := p.kube.DiscoveryV1().EndpointSlices("hostile").Create(t.Context(), s, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	offer(p, "denied", "web", "10.1.0.5", hostile{})
	for name, row := range hostiles {
		if name != "nothing" {
			offer(p, "hostile", name, "10.1.0.5", row)
		}
	}
	for name, row := range hostiles {
		if name != "nothing" {
			t.Run(name, func(t *testing.T) { row.check(t, p, c, name) })
		}
	}
	kit.Eventually(t, "denied", p.wantVerdict("denied", "web", invalid("NamespaceNotAllowed", "may not export from namespace denied")))
	settle(t, c)
	for name, was := range untouched {
		now := c.versions(t, "hostile", "nothing")
		if name == "denied" {
			now = c.versions(t, "denied", "web")
		}
		if now != was {
			t.Errorf("%s was disturbed: %s, now %s", name, was, now)
		}
	}
	offer(p, "hostile", "nothing", "10.1.0.5", hostile{})
	hostiles["nothing"].check(t, p, c, "nothing")
}

func (h hostile) check(t *testing.T, p, c *cluster, name string) {
	want := append([]string{"g/10.2.0.5"}, h.imported...)
	if h.unserved {
		want = nil
	}
	kit.Eventually(t, "what is good is served", c.wantAddresses("hostile", name, want...))
	if !h.unserved {
		kit.Eventually(t, "the import is ready", c.wantImported("hostile", name))
	}
	for kind, words := range h.said {
		kit.Eventually(t, "the import says why", c.wantSaid("hostile", name, kind, words))
	}
	if h.verdict[0] != "" {
		kit.Eventually(t, "the export says why", p.wantVerdict("hostile", name, h.verdict))
	}
	derived, err := c.kube.CoreV1().Services("hostile").List(t.Context(), metav1.ListOptions{LabelSelector: mcsapi.LabelServiceName + "=" + name})
	kit.Must(t, err)
	for _, s := range derived.Items {
		if len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 80 || s.Spec.SessionAffinity != corev1.ServiceAffinityNone {
			t.Errorf("the derived Service is not what the older export says: %+v", s.Spec)
		}
	}
}

// wantVerdict is a condition for eventually on a ServiceExport: type, status, reason and words of a condition.
func (c *cluster) wantVerdict(ns, name string, want [4]string) func() error {
	return func() error {
		if err := c.wantCondition(ns, name, want[0], metav1.ConditionStatus(want[1]), want[2])(); err != nil {
			return err
		}
		e, err := c.getExport(ns, name)
		if err == nil && !strings.Contains(condition(e.Status.Conditions, want[0]).Message, want[3]) {
			err = fmt.Errorf("the export says %+v, want %q", e.Status.Conditions, want[3])
		}
		return err
	}
}

// node registers a node with an address, as its kubelet would.
func (c *cluster) node(t *testing.T, name, address string) {
	t.Helper()
	node, err := c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	kit.Must(t, err)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}}
	_, err = c.kube.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	kit.Must(t, err)
}

// versions tells whether anything of an import was written.
func (c *cluster) versions(t *testing.T, ns, name string) string {
	t.Helper()
	i, err := c.getImport(ns, name)
	kit.Must(t, err)
	s, err := c.getService(ns, i.Annotations[mcsapi.AnnotationDerivedService])
	kit.Must(t, err)
	out := fmt.Sprint("import ", i.ResourceVersion, ", Service ", s.ResourceVersion)
	list, err := c.imported(ns, name)
	kit.Must(t, err)
	for _, slice := range list {
		out += fmt.Sprint(", slice ", slice.Name, " ", slice.ResourceVersion)
	}
	return out
}

// some is a list of f, empty for nil.
func some[T any](f func(T)) []func(T) {
	if f == nil {
		return nil
	}
	return []func(T){f}
}
