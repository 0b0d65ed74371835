package check

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTraps_G3: what is said of each reader, with what is written for it and without.
func TestTraps_G3(t *testing.T) {
	const eg, cilium, istio = "gateway.envoyproxy.io/gatewayclass-controller", "io.cilium/gateway-controller", "istio.io/gateway-controller"
	imported := func(name string, controllers ...string) Route {
		return Route{Name: "HTTPRoute shop/" + name, Import: true, Controllers: controllers}
	}
	derived := func(controllers ...string) Route { return Route{Name: "HTTPRoute shop/web", Controllers: controllers} }
	for _, c := range []struct {
		name    string
		readers Readers
		want    string // "link verdict: found → advice", one a line, parts of found and advice
	}{
		{"no reader", Readers{}, ""},
		{"Envoy Gateway, ServiceImports", Readers{Groups: []string{groupEnvoyGateway}, Routes: []Route{imported("a", eg), imported("b", eg), imported("c", eg), imported("d", eg), imported("e", cilium)}},
			"gateway warning: finds no endpoints of a ServiceImport: HTTPRoute shop/a, HTTPRoute shop/b, HTTPRoute shop/c and 1 more → routingType: Service in its EnvoyProxy: docs/gateways.md#envoy-gateway"},
		{"Envoy Gateway, a derived Service", Readers{Groups: []string{groupEnvoyGateway}, Routes: []Route{derived(eg)}},
			"gateway warning: misses changes to the endpoints of a derived Service: HTTPRoute shop/web → routingType: Service"},
		{"Envoy Gateway, by address", Readers{Groups: []string{groupEnvoyGateway}, Routes: []Route{{Name: "HTTPRoute shop/web", Import: true, Controllers: []string{eg}, ByAddress: true}}},
			"gateway ok: Envoy Gateway serves imported services: HTTPRoute shop/web → "},
		{"Envoy Gateway, a Gateway that is not known", Readers{Groups: []string{groupEnvoyGateway}, Routes: []Route{imported("a", "")}}, "gateway warning: HTTPRoute shop/a → "},
		{"Envoy Gateway, no route", Readers{Groups: []string{groupEnvoyGateway}}, "gateway none: Envoy Gateway is installed; no route → docs/gateways.md#envoy-gateway"},
		{"Envoy Gateway, routes that can't be listed", Readers{Groups: []string{groupEnvoyGateway}, NoRoutes: true}, "gateway none: were not checked → docs/gateways.md#envoy-gateway"},
		{"Envoy Gateway, another's routes", Readers{Groups: []string{groupEnvoyGateway}, Routes: []Route{imported("a", cilium)}}, "gateway none: no route → "},
		{"Cilium as network only", Readers{Groups: []string{groupCilium}}, ""},
		{"Cilium's gateway", Readers{Groups: []string{groupCilium}, Controllers: []string{cilium}, Routes: []Route{imported("a", cilium)}}, "gateway ok: Cilium serves imported services: HTTPRoute shop/a → "},
		{"Istio's gateway", Readers{Groups: []string{groupIstio}, Controllers: []string{istio}, Routes: []Route{derived(istio)}},
			"gateway warning: ignores the endpoints of imported services: HTTPRoute shop/web → ServiceEntry as the backend: docs/gateways.md#istio-gateways"},
		{"NGINX Gateway Fabric, a ServiceImport", Readers{Groups: []string{groupNGF}, Routes: []Route{imported("a", "gateway.nginx.org/nginx-gateway-controller")}},
			"gateway warning: does not accept a ServiceImport as a backend: HTTPRoute shop/a → use the derived Service as the backend: docs/gateways.md#nginx-gateway-fabric"},
		{"Traefik, a ServiceImport", Readers{Groups: []string{groupTraefik}, Routes: []Route{imported("a", "traefik.io/gateway-controller")}},
			"gateway warning: Traefik: it does not accept a ServiceImport → docs/gateways.md#traefik"},
		{"Traefik, a derived Service", Readers{Groups: []string{groupTraefik}, Routes: []Route{derived("traefik.io/gateway-controller")}}, "gateway ok: Traefik serves imported services: HTTPRoute shop/web → "},
		{"Istio, sidecars", Readers{Groups: []string{groupIstio}, Sidecars: []string{"shop/amcs-cart"}},
			`mesh warning: sidecars ignore the endpoints of imported services: shop/amcs-cart → networking.istio.io/exportTo: "~": docs/gateways.md#istio-with-sidecars`},
		{"Istio, nothing imported", Readers{Groups: []string{groupIstio}}, ""},
		{"Istio, ambient", Readers{Groups: []string{groupIstio}, Ambient: []string{"shop/amcs-cart"}}, "mesh none: without mTLS: shop/amcs-cart → docs/gateways.md#istio-ambient"},
		{"Istio, namespaces that can't be listed", Readers{Groups: []string{groupIstio}, NoMesh: true}, "mesh none: were not checked → docs/gateways.md#istio-with-sidecars"},
		{"Linkerd", Readers{Groups: []string{groupLinkerd}}, "mesh none: without mTLS → docs/gateways.md#linkerd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := well()
			f.Clusters[0].Readers = c.readers
			var got []finding.Step
			for _, s := range Judge(f) {
				if s.Link == "gateway" || s.Link == "mesh" {
					got = append(got, s)
				}
			}
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, "\n")
			}
			if len(got) != len(want) {
				t.Fatalf("got %+v, want %q", got, want)
			}
			for i, s := range got {
				head, rest, _ := strings.Cut(want[i], ": ")
				found, do, _ := strings.Cut(rest, " → ")
				if s.Cluster != "c1" || s.Link+" "+string(s.Verdict) != head || !strings.Contains(s.Found, found) || !strings.Contains(s.Do, do) || s.Verdict == finding.OK && s.Do != "" {
					t.Errorf("got %+v, want %s", s, want[i])
				}
			}
		})
	}
}

// TestInMesh_G3: in which namespaces Istio's sidecars, or its ambient mode, meet derived Services.
func TestInMesh_G3(t *testing.T) {
	for _, c := range []struct {
		name     string
		labels   map[string]string
		exportTo string
		want     string
	}{
		{"not in the mesh", nil, "", ""},
		{"injection", map[string]string{labelInjection: "enabled"}, "", "sidecars"},
		{"a revision", map[string]string{labelRevision: "canary"}, "", "sidecars"},
		{"injection that is switched off", map[string]string{labelInjection: "disabled", labelRevision: "canary"}, "", ""},
		{"hidden from sidecars", map[string]string{labelInjection: "enabled"}, "~", ""},
		{"hidden from some namespaces only", map[string]string{labelInjection: "enabled"}, ".", "sidecars"},
		{"ambient", map[string]string{labelDataplane: "ambient"}, "", "ambient"},
		{"ambient of a revision", map[string]string{labelDataplane: "ambient", labelRevision: "canary"}, "", "ambient"},
		{"no longer ambient", map[string]string{labelDataplane: "none"}, "", ""},
		{"injection before ambient", map[string]string{labelDataplane: "ambient", labelInjection: "enabled"}, "", "sidecars"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "amcs-cart"}}
			if c.exportTo != "" {
				s.Annotations = map[string]string{annotationExportTo: c.exportTo}
			}
			sidecars, ambient := inMesh([]corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: c.labels}}}, []corev1.Service{s})
			want := map[string]string{"": "[] []", "sidecars": "[shop/amcs-cart] []", "ambient": "[] [shop/amcs-cart]"}[c.want]
			if got := fmt.Sprint(sidecars, ambient); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestSections_G3: the page has the sections that findings lead to.
func TestSections_G3(t *testing.T) {
	text, err := os.ReadFile("../../../docs/gateways.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(string(text), -1) {
		sections = append(sections, strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"))
	}
	want := []string{"istio-with-sidecars", "istio-ambient", "linkerd"}
	for _, g := range gateways {
		want = append(want, g.section)
	}
	for _, section := range want {
		if !slices.Contains(sections, section) {
			t.Errorf("docs/gateways.md has no section %s, but %q", section, sections)
		}
	}
}
