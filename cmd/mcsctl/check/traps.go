package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"

	corev1 "k8s.io/api/core/v1"
)

// Labels and annotations of Istio.
const (
	labelInjection     = "istio-injection"
	labelRevision      = "istio.io/rev"
	labelDataplane     = "istio.io/dataplane-mode"
	annotationExportTo = "networking.istio.io/exportTo"
)

// page has a section per reader.
const page = "docs/gateways.md#"

// gateway is a program that serves routes of the Gateway API.
type gateway struct {
	name, group, section string
	// controller begins the controllerName of its GatewayClasses.
	controller string
	// always says that its group is a gateway's, so that it is one even without a GatewayClass.
	always bool
	// trap says what is wrong with a route, and what to do; "" if nothing is.
	trap func(Route) (found, do string)
}

var gateways = []gateway{
	{"Cilium", groupCilium, "cilium", "io.cilium/", false, func(Route) (string, string) { return "", "" }},
	{"Envoy Gateway", groupEnvoyGateway, "envoy-gateway", "gateway.envoyproxy.io/", true, func(r Route) (string, string) {
		switch {
		case r.ByAddress:
			return "", ""
		case r.Import:
			return "from version 1.6.7 on, it finds no endpoints of a ServiceImport", "set routingType: Service in its EnvoyProxy"
		}
		return "it misses changes to the endpoints of a derived Service", "set routingType: Service in its EnvoyProxy"
	}},
	{"Istio's gateway", groupIstio, "istio-gateways", "istio.io/gateway-controller", false, func(Route) (string, string) {
		return "it ignores the endpoints of imported services", "use a ServiceEntry as the backend"
	}},
	{"NGINX Gateway Fabric", groupNGF, "nginx-gateway-fabric", "gateway.nginx.org/", true, servicesOnly},
	{"Traefik", groupTraefik, "traefik", "traefik.io/", true, servicesOnly},
}

func servicesOnly(r Route) (found, do string) {
	if !r.Import {
		return "", ""
	}
	return "it does not accept a ServiceImport as a backend", "use the derived Service as the backend"
}

// readers reports what the gateways and meshes of a cluster do not do with imported services (SPEC G3).
func (j *judging) readers(c *Cluster) {
	for _, g := range gateways {
		if slices.Contains(c.Readers.Groups, g.group) {
			j.gateway(c, g)
		}
	}
	j.mesh(c)
}

func (j *judging) gateway(c *Cluster, g gateway) {
	served := func(name string) bool { return strings.HasPrefix(name, g.controller) }
	if !g.always && !slices.ContainsFunc(c.Readers.Controllers, served) {
		return
	}
	var order []string
	trapped, advice, routes := map[string][]string{}, map[string]string{}, []string(nil)
	for _, r := range c.Readers.Routes {
		if !slices.ContainsFunc(r.Controllers, func(name string) bool { return name == "" || served(name) }) {
			continue
		}
		routes = append(routes, r.Name)
		found, do := g.trap(r)
		if found == "" {
			continue
		}
		if trapped[found] == nil {
			order = append(order, found)
		}
		trapped[found], advice[found] = append(trapped[found], r.Name), do
	}
	for _, found := range order {
		j.say(c, "gateway", finding.Warning, fmt.Sprintf("%s: %s: %s", g.name, found, some(trapped[found])), advice[found]+": "+page+g.section)
	}
	switch {
	case len(order) > 0:
	case c.Readers.NoRoutes:
		j.say(c, "gateway", finding.None, g.name+" is installed; its routes can't be listed, and were not checked", "for what to write into them, see "+page+g.section)
	case len(routes) > 0:
		j.say(c, "gateway", finding.OK, g.name+" serves imported services: "+some(routes), "")
	default:
		j.say(c, "gateway", finding.None, g.name+" is installed; no route has an imported service as a backend", "for what to write into them, see "+page+g.section)
	}
}

func (j *judging) mesh(c *Cluster) {
	r := &c.Readers
	if slices.Contains(r.Groups, groupIstio) {
		if r.NoMesh {
			j.say(c, "mesh", finding.None, "Istio is installed; namespaces or Services can't be listed, and were not checked", "see "+page+"istio-with-sidecars")
		}
		if len(r.Sidecars) > 0 {
			j.say(c, "mesh", finding.Warning, "Istio's sidecars ignore the endpoints of imported services: "+some(r.Sidecars),
				"export the annotation "+annotationExportTo+`: "~": `+page+"istio-with-sidecars")
		}
		if len(r.Ambient) > 0 {
			j.say(c, "mesh", finding.None, "Istio's ambient mode sends traffic to endpoints of other clusters without mTLS: "+some(r.Ambient), "see "+page+"istio-ambient")
		}
	}
	if slices.Contains(r.Groups, groupLinkerd) {
		j.say(c, "mesh", finding.None, "Linkerd is installed; it sends traffic to imported endpoints without mTLS", "see "+page+"linkerd")
	}
}

// inMesh returns the derived Services, as namespace/name, that Istio's sidecars know without their endpoints, and those in
// namespaces of its ambient mode.
func inMesh(namespaces []corev1.Namespace, derived []corev1.Service) (sidecars, ambient []string) {
	labels := map[string]map[string]string{}
	for i := range namespaces {
		labels[namespaces[i].Name] = namespaces[i].Labels
	}
	for i := range derived {
		s := &derived[i]
		l := labels[s.Namespace]
		name := s.Namespace + "/" + s.Name
		isAmbient := l[labelDataplane] == "ambient"
		switch {
		case l[labelInjection] == "enabled", l[labelInjection] == "" && l[labelRevision] != "" && !isAmbient:
			if !slices.ContainsFunc(strings.Split(s.Annotations[annotationExportTo], ","), func(to string) bool { return strings.TrimSpace(to) == "~" }) {
				sidecars = append(sidecars, name)
			}
		case isAmbient:
			ambient = append(ambient, name)
		}
	}
	slices.Sort(sidecars)
	slices.Sort(ambient)
	return sidecars, ambient
}

// some names the first few.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
