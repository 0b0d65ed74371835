package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// reader finds the endpoints of an import as a program does that reads our objects: which port name it looks for, and in which
// EndpointSlices.
type reader struct {
	// byImport takes the port's name from the ServiceImport, not from the derived Service.
	byImport bool
	// selector of slices; DERIVED is the derived Service, IMPORT the import.
	selector string
	// prefixed leaves out slices whose name does not begin with that of the Service.
	prefixed bool
	// blind finds no endpoints of ours: users need the workaround.
	blind bool
}

const byService = discoveryv1.LabelServiceName + "=DERIVED"

var readers = map[string]reader{
	"kube-proxy":                               {selector: byService + ",!" + corev1.IsHeadlessService},
	"a gateway with the derived Service":       {selector: byService}, // Envoy Gateway, NGINX Gateway Fabric, Traefik; Cilium goes there by itself
	"Istio ambient, Linkerd":                   {selector: byService},
	"ingress-nginx":                            {selector: byService, prefixed: true},
	"Envoy Gateway up to 1.6.6, by import":     {selector: mcsapi.LabelServiceName + "=IMPORT", byImport: true},
	"Envoy Gateway from 1.6.7 on, by import":   {selector: mcsapi.LabelServiceName + "=IMPORT,!" + discoveryv1.LabelServiceName, byImport: true, blind: true},
	"Istio sidecars, which drop the KEP label": {selector: byService + ",!" + mcsapi.LabelServiceName, blind: true},
}

// endpoints returns what the reader finds for a port, sorted.
func (r reader) endpoints(t *testing.T, c *cluster, ns, name string, port int32) (found []string) {
	t.Helper()
	i, err := c.getImport(ns, name)
	kit.Must(t, err)
	derived, err := c.getService(ns, i.Annotations[mcsapi.AnnotationDerivedService]) // as Cilium finds it
	kit.Must(t, err)
	names := map[int32]string{}
	for _, p := range derived.Spec.Ports {
		names[p.Port] = p.Name
	}
	if r.byImport {
		clear(names)
		for _, p := range i.Spec.Ports {
			names[p.Port] = p.Name
		}
	}
	portName, has := names[port]
	if !has {
		t.Fatalf("%s has no port %d, but %v", name, port, names)
	}
	selector := strings.NewReplacer("DERIVED", derived.Name, "IMPORT", name).Replace(r.selector)
	list, err := c.kube.DiscoveryV1().EndpointSlices(ns).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	kit.Must(t, err)
	for _, s := range list.Items {
		at := slices.IndexFunc(s.Ports, func(p discoveryv1.EndpointPort) bool { return p.Name != nil && *p.Name == portName })
		if at < 0 || r.prefixed && !strings.HasPrefix(s.Name, derived.Name+"-") {
			continue
		}
		for _, e := range s.Endpoints {
			found = append(found, fmt.Sprintf("%s:%d", e.Addresses[0], *s.Ports[at].Port))
		}
	}
	slices.Sort(found)
	return found
}

// TestReaders_G2_M2: what each reader finds among the objects of a real run: ClusterSetIP and headless, with and without a
// preference, of exporters whose ports have other names, or none.
func TestReaders_G2_M2(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "readers"
	namespace(t, ns, a, b, c)
	ports := func(list ...corev1.ServicePort) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Spec.Ports = list }
	}
	endpointPorts := func(names ...string) func(*discoveryv1.EndpointSlice) {
		return func(s *discoveryv1.EndpointSlice) {
			s.Ports = nil
			for i, name := range names {
				number, protocol := int32(8080+i), corev1.ProtocolTCP
				s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: &protocol})
			}
		}
	}
	a.service(t, ns, "mixed", ports(corev1.ServicePort{Port: 80}))
	a.slice(t, ns, "mixed", "x", []string{"10.1.0.5"}, endpointPorts(""))
	a.export(t, ns, "mixed")
	kit.Eventually(t, "a's export is the older one", c.wantImported(ns, "mixed"))
	b.service(t, ns, "mixed", ports(corev1.ServicePort{Name: "web", Port: 80}, corev1.ServicePort{Name: "admin", Port: 9090}))
	b.slice(t, ns, "mixed", "x", []string{"10.2.0.5"}, endpointPorts("web", "admin"))
	b.export(t, ns, "mixed")
	for n, p := range []*cluster{a, b} {
		for _, name := range []string{"pets", "prefers"} {
			p.service(t, ns, name, func(s *corev1.Service) {
				if name == "pets" {
					headless(s)
				}
			})
			p.slice(t, ns, name, "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
			p.export(t, ns, name, func(e *mcs.ServiceExport) {
				if name == "prefers" {
					e.Annotations = map[string]string{mcsapi.AnnotationPrefer: "a"}
				}
			})
		}
	}
	kit.Eventually(t, "both", c.wantAddresses(ns, "mixed", "a/10.1.0.5", "b/10.2.0.5"))
	kit.Eventually(t, "both", c.wantAddresses(ns, "pets", "a/10.1.0.5", "b/10.2.0.5"))
	kit.Eventually(t, "one in use", c.wantInUse(ns, "prefers", "a"))
	kit.Eventually(t, "and one in reserve", c.wantAddresses(ns, "prefers", "a/10.1.0.5", "b/10.2.0.5"))
	for _, name := range []string{"mixed", "pets", "prefers"} {
		kit.Eventually(t, "served", c.wantImported(ns, name))
	}
	settle(t, a, b, c)

	for _, want := range []struct {
		name      string
		port      int32
		endpoints []string
	}{
		{"mixed", 80, []string{"10.1.0.5:8080", "10.2.0.5:8080"}},
		{"mixed", 9090, []string{"10.2.0.5:8081"}},
		{"pets", 80, []string{"10.1.0.5:8080", "10.2.0.5:8080"}},
		{"prefers", 80, []string{"10.1.0.5:8080"}},
	} {
		for who, r := range readers {
			expected := want.endpoints
			if r.blind || who == "kube-proxy" && want.name == "pets" {
				expected = nil
			}
			if got := r.endpoints(t, c, ns, want.name, want.port); !slices.Equal(got, expected) {
				t.Errorf("%s finds %v for port %d of %s, want %v", who, got, want.port, want.name, expected)
			}
		}
	}
}

// TestHiddenFromSidecars_G2_G3: the ServiceExport of docs/gateways.md hides the derived Service from Istio's sidecars, which would drop
// its slices, where the registration of the exporting cluster allows the key as the page has it.
func TestHiddenFromSidecars_G2_G3(t *testing.T) {
	blocks, err := docs.Blocks("gateways.md")
	kit.Must(t, err)
	var export mcs.ServiceExport
	var keys string
	for _, b := range blocks {
		switch {
		case b.Section != "Istio with sidecars":
		case b.Language == "yaml":
			kit.Must(t, yaml.Unmarshal([]byte(b.Text), &export))
		case b.Language == "console":
			_, keys, _ = strings.Cut(strings.TrimSpace(b.Text), mcsapi.Domain+"/"+registration.LimitExportedKeys+"=")
		}
	}
	list := start(t, controlplane.Options{Name: "p"}, controlplane.Options{Name: "c"})
	p, c := list[0], list[1]
	provider, consumer := registered(p), registered(c)
	provider.Consumer, consumer.Provider = false, false
	kit.Must(t, provider.Limits.Set(registration.LimitExportedKeys, keys))
	run(t, &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{provider, consumer}}, nil)
	namespace(t, export.Namespace, p, c)
	p.service(t, export.Namespace, export.Name)
	p.slice(t, export.Namespace, export.Name, "x", []string{"10.1.0.5"})
	p.export(t, export.Namespace, export.Name, func(e *mcs.ServiceExport) { e.Spec = export.Spec })
	kit.Eventually(t, "the derived Service is hidden", func() error {
		derived, err := c.getService(export.Namespace, plan.DerivedName(export.Name))
		if err == nil && derived.Annotations["networking.istio.io/exportTo"] != "~" {
			err = fmt.Errorf("it has the annotations %v", derived.Annotations)
		}
		return err
	})
}
