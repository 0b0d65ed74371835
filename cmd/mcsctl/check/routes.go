package check

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Route is a route of the Gateway API that has an imported service as a backend.
type Route struct {
	// Name is "HTTPRoute shop/web".
	Name string
	// Import says that a backend is a ServiceImport. Otherwise all imported ones are derived Services.
	Import bool
	// Controllers are those of the GatewayClasses of its Gateways, without duplicates; "" stands for one that is not known.
	Controllers []string
	// ByAddress says that Envoy Gateway is told to connect to the address of the Service instead of to endpoints.
	ByAddress bool
}

// gatewayObjects are objects of the Gateway API and of Envoy Gateway, as they were read.
type gatewayObjects struct {
	classes, gateways, routes, proxies, policies []unstructured.Unstructured
	// derived are the derived Services.
	derived map[types.NamespacedName]bool
}

// importing returns the routes that have an imported service as a backend, sorted by name.
func (o *gatewayObjects) importing() (routes []Route) {
	for i := range o.routes {
		u := &o.routes[i]
		imports, derived := o.backends(u)
		if !imports && !derived {
			continue
		}
		r := Route{Name: u.GetKind() + " " + keyOf(u).String(), Import: imports, ByAddress: true}
		for _, parent := range mapsIn(u, "spec", "parentRefs") {
			if kind := text(parent, "kind"); kind != "" && kind != "Gateway" {
				continue // a Service, of a mesh; a ListenerSet belongs to a Gateway that is not looked up
			}
			controller, byAddress := o.gateway(key(parent, u.GetNamespace()))
			r.Controllers = append(r.Controllers, controller)
			r.ByAddress = r.ByAddress && byAddress
		}
		slices.Sort(r.Controllers)
		r.Controllers = slices.Compact(r.Controllers)
		r.ByAddress = r.ByAddress && len(r.Controllers) > 0 || o.policy(u.GetKind(), keyOf(u))
		routes = append(routes, r)
	}
	slices.SortFunc(routes, func(a, b Route) int { return strings.Compare(a.Name, b.Name) })
	return routes
}

// backends reports whether a route has ServiceImports and derived Services as backends.
func (o *gatewayObjects) backends(route *unstructured.Unstructured) (imports, derived bool) {
	for _, rule := range mapsIn(route, "spec", "rules") {
		for _, ref := range mapsIn(&unstructured.Unstructured{Object: rule}, "backendRefs") {
			switch group, kind := text(ref, "group"), text(ref, "kind"); {
			case group == mcsapi.Group && kind == "ServiceImport":
				imports = true
			case group == "" && (kind == "" || kind == "Service"):
				derived = derived || o.derived[key(ref, route.GetNamespace())]
			}
		}
	}
	return imports, derived
}

// gateway returns which controller a Gateway is for, "" if that is not known, and whether it connects to the addresses of
// Services: by the EnvoyProxy of the Gateway, otherwise of its class, or by a policy.
func (o *gatewayObjects) gateway(name types.NamespacedName) (controller string, byAddress bool) {
	gateway := find(o.gateways, name)
	if gateway == nil {
		return "", false
	}
	className, _, _ := unstructured.NestedString(gateway.Object, "spec", "gatewayClassName")
	class := find(o.classes, types.NamespacedName{Name: className})
	parameters, found, _ := unstructured.NestedMap(gateway.Object, "spec", "infrastructure", "parametersRef")
	if class != nil {
		controller, _, _ = unstructured.NestedString(class.Object, "spec", "controllerName")
		if !found {
			parameters, _, _ = unstructured.NestedMap(class.Object, "spec", "parametersRef")
		}
	}
	if proxy := find(o.proxies, key(parameters, name.Namespace)); proxy != nil {
		byAddress = routesByAddress(proxy)
	}
	return controller, byAddress || o.policy("Gateway", name)
}

// policy reports whether a BackendTrafficPolicy has Envoy Gateway connect to addresses of Services for an object.
func (o *gatewayObjects) policy(kind string, name types.NamespacedName) bool {
	for i := range o.policies {
		p := &o.policies[i]
		if p.GetNamespace() != name.Namespace || !routesByAddress(p) {
			continue
		}
		targets := mapsIn(p, "spec", "targetRefs")
		if one, found, _ := unstructured.NestedMap(p.Object, "spec", "targetRef"); found {
			targets = append(targets, one)
		}
		for _, target := range targets {
			if text(target, "kind") == kind && text(target, "name") == name.Name {
				return true
			}
		}
	}
	return false
}

func routesByAddress(u *unstructured.Unstructured) bool {
	routing, _, _ := unstructured.NestedString(u.Object, "spec", "routingType")
	return routing == "Service"
}

func find(list []unstructured.Unstructured, name types.NamespacedName) *unstructured.Unstructured {
	for i := range list {
		if keyOf(&list[i]) == name {
			return &list[i]
		}
	}
	return nil
}

// key is the object that a reference names, in the namespace ns unless it says another.
func key(ref map[string]any, ns string) types.NamespacedName {
	if other := text(ref, "namespace"); other != "" {
		ns = other
	}
	return types.NamespacedName{Namespace: ns, Name: text(ref, "name")}
}

func keyOf(u *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: u.GetNamespace(), Name: u.GetName()}
}

// mapsIn returns those items of a list that are maps.
func mapsIn(u *unstructured.Unstructured, fields ...string) (list []map[string]any) {
	items, _, _ := unstructured.NestedSlice(u.Object, fields...)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

func text(m map[string]any, field string) string {
	s, _ := m[field].(string)
	return s
}
