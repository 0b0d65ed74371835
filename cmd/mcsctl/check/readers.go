package check

import (
	"context"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// API groups by which programs are recognized. Everybody has permission to read which groups a server has.
const (
	groupGatewayAPI   = "gateway.networking.k8s.io"
	groupEnvoyGateway = "gateway.envoyproxy.io"
	groupNGF          = "gateway.nginx.org"
	groupTraefik      = "traefik.io"
	groupCilium       = "cilium.io"
	groupIstio        = "networking.istio.io"
	groupLinkerd      = "linkerd.io"
)

var readerGroups = []string{groupEnvoyGateway, groupNGF, groupTraefik, groupCilium, groupIstio, groupLinkerd}

// Readers are the gateways, ingress controllers and meshes that a cluster has, and how they meet imported services (SPEC G3).
type Readers struct {
	// Groups are those of their API groups that the server has.
	Groups []string
	// Controllers are those of GatewayClasses, sorted.
	Controllers []string
	// Routes are those with an imported service as a backend; NoRoutes says that they could not be listed.
	Routes   []Route
	NoRoutes bool
	// Sidecars are the derived Services, as namespace/name, in namespaces where Istio injects sidecars, unless they are hidden from
	// these; Ambient are those in namespaces of Istio's ambient mode. NoMesh says that they could not be listed.
	Sidecars, Ambient []string
	NoMesh            bool
}

// gatherReaders reads what concerns the readers that a cluster has: nothing else than its API groups if it has none.
func gatherReaders(ctx context.Context, m *members.Cluster) (r Readers) {
	groups, err := discovery.ToServerGroupsInterfaceWithContext(m.Kube.Discovery()).ServerGroupsWithContext(ctx)
	if err != nil {
		return r
	}
	versions := map[string][]string{} // of groups
	for _, g := range groups.Groups {
		for _, known := range readerGroups {
			if g.Name == known || strings.HasSuffix(g.Name, "."+known) && known == groupLinkerd { // policy.linkerd.io, and more
				r.Groups = append(r.Groups, known)
			}
		}
		for _, v := range g.Versions {
			versions[g.Name] = append(versions[g.Name], v.Version)
		}
	}
	slices.Sort(r.Groups)
	r.Groups = slices.Compact(r.Groups)
	if len(r.Groups) == 0 {
		return r
	}
	derived, err := derivedServices(ctx, m)
	if slices.Contains(r.Groups, groupIstio) {
		r.meshes(ctx, m, derived, err)
	}
	if len(versions[groupGatewayAPI]) > 0 {
		r.NoRoutes = err != nil // a route may have one of them as a backend
		r.gateways(ctx, m, versions, derived)
	}
	return r
}

func derivedServices(ctx context.Context, m *members.Cluster) ([]corev1.Service, error) {
	opts := metav1.ListOptions{LabelSelector: mcsapi.LabelServiceName}
	return kubeclient.All(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Service, metav1.ListMeta, error) {
		list, err := m.Kube.CoreV1().Services("").List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return mcsapi.OnlyWellformed(list.Items, true), list.ListMeta, nil
	})
}

// meshes finds derived Services in namespaces that take part in Istio's mesh.
func (r *Readers) meshes(ctx context.Context, m *members.Cluster, derived []corev1.Service, err error) {
	if err != nil {
		r.NoMesh = true
		return
	}
	namespaces, err := kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Namespace, metav1.ListMeta, error) {
		list, err := m.Kube.CoreV1().Namespaces().List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return mcsapi.OnlyWellformed(list.Items, false), list.ListMeta, nil
	})
	if err != nil {
		r.NoMesh = true
		return
	}
	r.Sidecars, r.Ambient = inMesh(namespaces, derived)
}

// gateways reads the routes, and what says which program they are for.
func (r *Readers) gateways(ctx context.Context, m *members.Cluster, versions map[string][]string, derived []corev1.Service) {
	client, err := dynamic.NewForConfigAndClient(m.Config, m.Client.HTTP)
	if err != nil {
		r.NoRoutes = true
		return
	}
	objects := gatewayObjects{derived: map[types.NamespacedName]bool{}}
	for i := range derived {
		objects.derived[types.NamespacedName{Namespace: derived[i].Namespace, Name: derived[i].Name}] = true
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	list := func(kind schema.GroupVersionResource, to *[]unstructured.Unstructured) {
		wg.Go(func() {
			items, err := kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) ([]unstructured.Unstructured, metav1.ListMeta, error) {
				page, err := client.Resource(kind).List(ctx, opts)
				if err != nil {
					return nil, metav1.ListMeta{}, err
				}
				return page.Items, metav1.ListMeta{Continue: page.GetContinue(), ResourceVersion: page.GetResourceVersion()}, nil
			})
			mu.Lock()
			defer mu.Unlock()
			*to = append(*to, items...)
			r.NoRoutes = r.NoRoutes || err != nil && to == &objects.routes
		})
	}
	to := map[string]*[]unstructured.Unstructured{
		"gatewayclasses": &objects.classes, "gateways": &objects.gateways, "envoyproxies": &objects.proxies, "backendtrafficpolicies": &objects.policies,
		"httproutes": &objects.routes, "grpcroutes": &objects.routes, "tlsroutes": &objects.routes, "tcproutes": &objects.routes, "udproutes": &objects.routes,
	}
	resources := discovery.ToServerResourcesInterfaceWithContext(m.Kube.Discovery())
	for _, group := range []string{groupGatewayAPI, groupEnvoyGateway} {
		for _, version := range versions[group] { // the preferred one first
			served, err := resources.ServerResourcesForGroupVersionWithContext(ctx, group+"/"+version)
			if err != nil {
				r.NoRoutes = true
				continue
			}
			for _, resource := range served.APIResources {
				if into := to[resource.Name]; into != nil {
					delete(to, resource.Name)
					list(schema.GroupVersionResource{Group: group, Version: version, Resource: resource.Name}, into)
				}
			}
		}
	}
	wg.Wait()
	for i := range objects.classes {
		if name, _, _ := unstructured.NestedString(objects.classes[i].Object, "spec", "controllerName"); name != "" {
			r.Controllers = append(r.Controllers, name)
		}
	}
	slices.Sort(r.Controllers)
	r.Controllers = slices.Compact(r.Controllers)
	r.Routes = objects.importing()
}
