package check

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// TestImporting_G3: which routes have an imported service as a backend, which controllers serve them, and whether Envoy Gateway
// connects to addresses for them.
func TestImporting_G3(t *testing.T) {
	const gateway = `
- {kind: GatewayClass, metadata: {name: eg}, spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
- {kind: Gateway, metadata: {name: gw, namespace: infra}, spec: {gatewayClassName: eg}}
`
	route := func(backend string) string {
		return "\n- {kind: HTTPRoute, metadata: {name: web, namespace: shop}, spec: {parentRefs: [{name: gw, namespace: infra}], rules: [{}, {backendRefs: [{name: other}, " + backend + "]}]}}\n"
	}
	imported := route("{group: multicluster.x-k8s.io, kind: ServiceImport, name: cart, port: 80}")
	const proxy = "\n- {kind: EnvoyProxy, metadata: {name: proxy, namespace: infra}, spec: {routingType: Service}}\n"
	const eg = "gateway.envoyproxy.io/gatewayclass-controller"
	for _, c := range []struct{ name, objects, want string }{
		{"a ServiceImport", gateway + imported, "HTTPRoute shop/web import [" + eg + "]"},
		{"a derived Service", gateway + route("{name: amcs-cart, port: 80}"), "HTTPRoute shop/web [" + eg + "]"},
		{"a derived Service elsewhere", gateway + route("{kind: Service, name: amcs-cart, namespace: else, port: 80}"), ""},
		{"another Service", gateway + route("{name: cart, port: 80}"), ""},
		{"something else of that name", gateway + route("{group: example.com, kind: ServiceImport, name: cart}"), ""},
		{"a Gateway that is not known", imported, "HTTPRoute shop/web import []"},
		{"a class that is not known", "\n- {kind: Gateway, metadata: {name: gw, namespace: infra}, spec: {gatewayClassName: eg}}" + imported, "HTTPRoute shop/web import []"},
		{"an EnvoyProxy that nothing refers to", gateway + proxy + imported, "HTTPRoute shop/web import [" + eg + "]"},
		{"the EnvoyProxy of the class", strings.Replace(gateway, "{controllerName", "{parametersRef: {kind: EnvoyProxy, name: proxy, namespace: infra}, controllerName", 1) + proxy + imported,
			"HTTPRoute shop/web import [" + eg + "] by address"},
		{"the EnvoyProxy of the Gateway", strings.Replace(gateway, "{gatewayClassName", "{infrastructure: {parametersRef: {kind: EnvoyProxy, name: proxy}}, gatewayClassName", 1) + proxy + imported,
			"HTTPRoute shop/web import [" + eg + "] by address"},
		{"the EnvoyProxy of the Gateway before that of the class", `
- {kind: GatewayClass, metadata: {name: eg}, spec: {parametersRef: {name: proxy, namespace: infra}, controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
- {kind: Gateway, metadata: {name: gw, namespace: infra}, spec: {gatewayClassName: eg, infrastructure: {parametersRef: {name: plain}}}}
- {kind: EnvoyProxy, metadata: {name: plain, namespace: infra}, spec: {}}` + proxy + imported, "HTTPRoute shop/web import [" + eg + "]"},
		{"two Gateways, one of which is not by address", gateway + proxy + strings.ReplaceAll(imported, "namespace: infra}], rules", "namespace: infra}, {name: a, namespace: infra}], rules") +
			"- {kind: Gateway, metadata: {name: a, namespace: infra}, spec: {gatewayClassName: eg, infrastructure: {parametersRef: {name: proxy}}}}", "HTTPRoute shop/web import [" + eg + "]"},
		{"a policy for the route", gateway + imported + "\n- {kind: BackendTrafficPolicy, metadata: {name: p, namespace: shop}, spec: {routingType: Service, targetRefs: [{kind: HTTPRoute, name: web}]}}",
			"HTTPRoute shop/web import [" + eg + "] by address"},
		{"a policy for the Gateway", gateway + imported + "\n- {kind: BackendTrafficPolicy, metadata: {name: p, namespace: infra}, spec: {routingType: Service, targetRef: {kind: Gateway, name: gw}}}",
			"HTTPRoute shop/web import [" + eg + "] by address"},
		{"a policy for another route", gateway + imported + "\n- {kind: BackendTrafficPolicy, metadata: {name: p, namespace: shop}, spec: {routingType: Service, targetRefs: [{kind: HTTPRoute, name: x}]}}",
			"HTTPRoute shop/web import [" + eg + "]"},
		{"a route of a mesh", gateway + "\n- {kind: HTTPRoute, metadata: {name: web, namespace: shop}, spec: {parentRefs: [{kind: Service, group: '', name: web}], rules: [{backendRefs: [{name: amcs-cart}]}]}}",
			"HTTPRoute shop/web nobody"},
		{"nonsense", "\n- {kind: HTTPRoute, metadata: {name: web, namespace: shop}, spec: {parentRefs: 7, rules: [7, {backendRefs: {}}]}}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var items []map[string]any
			if err := yaml.Unmarshal([]byte(c.objects), &items); err != nil {
				t.Fatal(err)
			}
			o := gatewayObjects{derived: map[types.NamespacedName]bool{{Namespace: "shop", Name: "amcs-cart"}: true}}
			to := map[string]*[]unstructured.Unstructured{"GatewayClass": &o.classes, "Gateway": &o.gateways, "HTTPRoute": &o.routes, "EnvoyProxy": &o.proxies, "BackendTrafficPolicy": &o.policies}
			for _, item := range items {
				u := unstructured.Unstructured{Object: item}
				*to[u.GetKind()] = append(*to[u.GetKind()], u)
			}
			var got []string
			for _, r := range o.importing() {
				text := r.Name
				if r.Import {
					text += " import"
				}
				if text += " " + fmt.Sprint(r.Controllers); len(r.Controllers) == 0 {
					text = r.Name + " nobody"
				}
				if r.ByAddress {
					text += " by address"
				}
				got = append(got, text)
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
