package mcsctl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// crdModules are Go modules with CRDs of programs of docs/gateways.md, which names their versions. Each has its hash, as in a go.sum, and
// patterns of files. Nothing of them is compiled, so they are in no go.mod.
var crdModules = []struct {
	path, version, sum string
	files              []string
	only               []string // resources whose CRDs are wanted
}{
	{"sigs.k8s.io/gateway-api", "v1.6.3", "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=", []string{"config/crd/standard/gateway.networking.k8s.io_*s.yaml"},
		[]string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes"}},
	{"github.com/envoyproxy/gateway", "v1.9.1", "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
		[]string{"charts/gateway-helm/charts/crds/crds/generated/*.yaml"}, []string{"envoyproxies", "backendtrafficpolicies"}},
	{"istio.io/api", "v1.32.0", "h1:37mJvg9I0biYZAEQF+MATs4FNeCpXEIVO3LFpVb6iNM=",
		[]string{"kubernetes/customresourcedefinitions.gen.yaml"}, []string{"serviceentries", "peerauthentications"}},
	{"github.com/traefik/traefik/v3", "v3.7.13", "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=",
		[]string{"docs/content/reference/dynamic-configuration/traefik.io_ingressroutes.yaml"}, []string{"ingressroutes"}},
}

// groupOnly are stand-ins for CRDs by which mcsctl recognizes programs of which it reads no more than the group.
const groupOnly = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: examples.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: examples, kind: Example}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`

// installReaders installs the CRDs of all programs of the page.
func installReaders(t *testing.T, c *cluster) {
	t.Helper()
	for _, m := range crdModules {
		dir := download(t, m.path, m.version, m.sum)
		installed := 0
		for _, pattern := range m.files {
			files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
			kit.Must(t, err)
			for _, file := range files {
				text, err := os.ReadFile(file)
				kit.Must(t, err)
				for _, crd := range objectsOf(t, text) {
					plural, _, _ := strings.Cut(crd.GetName(), ".")
					if crd.GetKind() != "CustomResourceDefinition" || !slices.Contains(m.only, plural) {
						continue
					}
					text, err := crd.MarshalJSON()
					kit.Must(t, err)
					kit.Must(t, c.ApplyYAML(t.Context(), text))
					installed++
				}
			}
		}
		if installed != len(m.only) {
			t.Fatalf("%s@%s has %d of the CRDs %v", m.path, m.version, installed, m.only)
		}
	}
	for _, group := range []string{"cilium.io", "gateway.nginx.org", "policy.linkerd.io"} {
		kit.Must(t, c.ApplyYAML(t.Context(), []byte(strings.ReplaceAll(groupOnly, "GROUP", group))))
	}
}

// download has Go download a module, or find it in its cache, and returns its folder.
func download(t *testing.T, path, version, sum string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir = t.TempDir() // outside of our module, of which it is no part
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || got.Error != "" {
		t.Fatalf("downloading %s@%s: %v: %s", path, version, err, got.Error)
	}
	if got.Sum != sum {
		t.Fatalf("%s@%s has the hash %s, want %s", path, version, got.Sum, sum)
	}
	return got.Dir
}

func objectsOf(t *testing.T, text []byte) (list []*unstructured.Unstructured) {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(u)
		if err == io.EOF {
			return list
		}
		kit.Must(t, err)
		if len(u.Object) > 0 {
			list = append(list, u)
		}
	}
}

// TestGateways_G3: an API server with the CRDs of the programs of docs/gateways.md accepts its manifests as they are. They name what the
// controller makes. `mcsctl check` warns of what the page warns of, and of nothing that it recommends.
func TestGateways_G3(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1", ControllerManager: true})
	c1 := list[0]
	namespace(t, "infra", c1)
	namespace(t, "shop", c1)
	namespace(t, system, c1) // for the controller's Leases
	run(t, c1, true)
	c1.service(t, "shop", "cart", "10.1.0.5")
	c1.export(t, "shop", "cart")
	kit.Eventually(t, "the derived Service", func() error {
		_, err := c1.kube.CoreV1().Services("shop").Get(t.Context(), plan.DerivedName("cart"), getOptions)
		return err
	})
	c1.corefile(t, balanced)
	kit.Must(t, c1.ApplyYAML(t.Context(), []byte(coreDNSRights)))
	check := func(kubeconfig string) outcome { return mcsctl(t, "check", "--cluster", "c1="+kubeconfig) }
	if o := check(kubeconfig); strings.Contains(o.out, "gateways.md") {
		t.Errorf("without any program, check says\n%s", o.out)
	}
	installReaders(t, c1)
	t.Run("manifests", func(t *testing.T) { dryRun(t, c1) })
	t.Run("versions", func(t *testing.T) {
		page, err := os.ReadFile("../../../docs/gateways.md")
		kit.Must(t, err)
		for _, m := range crdModules {
			if !strings.Contains(string(page), strings.TrimPrefix(m.version, "v")) {
				t.Errorf("the page does not name the version of %s, %s", m.path, m.version)
			}
		}
	})

	c1.apply(t, "Envoy Gateway", false)
	kit.Must(t, c1.ApplyYAML(t.Context(), []byte(classes)))
	c1.label(t, "shop", `{"istio.io/dataplane-mode":"ambient"}`)
	check(kubeconfig).golden(t, "check-gateways-good")

	c1.apply(t, "Envoy Gateway", true)
	kit.Must(t, c1.ApplyYAML(t.Context(), []byte(badRoutes)))
	c1.label(t, "shop", `{"istio.io/dataplane-mode":null,"istio-injection":"enabled"}`)
	check(kubeconfig).golden(t, "check-gateways")

	_, err := c1.kube.CoreV1().Services("shop").Patch(t.Context(), plan.DerivedName("cart"), "application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"networking.istio.io/exportTo":"~"}}}`), metav1.PatchOptions{})
	kit.Must(t, err)
	if o := check(kubeconfig); strings.Contains(o.out, "sidecars") {
		t.Errorf("sidecars do not see the derived Service, but check says\n%s", o.out)
	}

	restricted, err := c1.KubeconfigFor("nobody")
	kit.Must(t, err)
	check(restricted).golden(t, "check-gateways-restricted")
}

// dryRun applies the manifests of the page as a dry run.
func dryRun(t *testing.T, c *cluster) {
	client, err := dynamic.NewForConfig(c.Config())
	kit.Must(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.kube.Discovery()))
	blocks, err := docs.Blocks("gateways.md")
	kit.Must(t, err)
	sections, named := map[string]bool{}, 0
	for _, b := range blocks {
		if b.Language != "yaml" {
			continue
		}
		for _, u := range objectsOf(t, []byte(b.Text)) {
			sections[b.Section] = true
			at := fmt.Sprintf("%s:%d, %s %s", b.Page, b.Line, u.GetKind(), u.GetName())
			for _, name := range backends(u.Object) {
				if name != "ServiceImport cart" && name != "Service "+plan.DerivedName("cart") && !strings.HasPrefix(name, "Hostname ") {
					t.Errorf("%s: its backend is %s, which the controller does not make", at, name)
				}
				named++
			}
			mapping, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
			if err != nil {
				t.Errorf("%s: %v", at, err)
				continue
			}
			if _, err := client.Resource(mapping.Resource).Namespace(u.GetNamespace()).Apply(t.Context(), u.GetName(), u,
				metav1.ApplyOptions{FieldManager: "reader", DryRun: []string{metav1.DryRunAll}, Force: true}); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	}
	if len(sections) < 9 || named < 7 {
		t.Errorf("only %v have manifests, with %d backends", sections, named)
	}
}

// backends returns what parts of an object refer to by a name and a port, as "kind name".
func backends(part any) (names []string) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			names = append(names, backends(item)...)
		}
	case map[string]any:
		name, _ := part["name"].(string)
		_, port := part["port"]
		_, listener := part["protocol"]
		kind, _ := part["kind"].(string)
		if name != "" && port && !listener {
			names = append(names, cmp.Or(kind, "Service")+" "+name)
		}
		for _, item := range part {
			names = append(names, backends(item)...)
		}
	}
	return names
}

// apply applies the manifests of a section of the page; without the routing to the Service's address, if it is left out.
func (c *cluster) apply(t *testing.T, section string, leaveOut bool) {
	t.Helper()
	blocks, err := docs.Blocks("gateways.md")
	kit.Must(t, err)
	for _, b := range blocks {
		if b.Section == section && b.Language == "yaml" {
			text := b.Text
			if leaveOut {
				text = strings.ReplaceAll(text, "routingType: Service", "routingType: Endpoint")
			}
			kit.Must(t, c.ApplyYAML(t.Context(), []byte(text)))
		}
	}
}

func (c *cluster) label(t *testing.T, ns, labels string) {
	t.Helper()
	_, err := c.kube.CoreV1().Namespaces().Patch(t.Context(), ns, "application/merge-patch+json", []byte(`{"metadata":{"labels":`+labels+`}}`), metav1.PatchOptions{})
	kit.Must(t, err)
}

// coreDNSRights let the check find nothing wrong.
const coreDNSRights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
`

// classes are a GatewayClass of each program, and a Gateway of each but Envoy Gateway, which the page has.
const classes = `
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: envoy}, spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: cilium}, spec: {controllerName: io.cilium/gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: istio}, spec: {controllerName: istio.io/gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: nginx}, spec: {controllerName: gateway.nginx.org/nginx-gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: traefik}, spec: {controllerName: traefik.io/gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: cilium, namespace: infra}, spec: {gatewayClassName: cilium, listeners: [{name: http, protocol: HTTP, port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: istio, namespace: infra}, spec: {gatewayClassName: istio, listeners: [{name: http, protocol: HTTP, port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: nginx, namespace: infra}, spec: {gatewayClassName: nginx, listeners: [{name: http, protocol: HTTP, port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: traefik, namespace: infra}, spec: {gatewayClassName: traefik, listeners: [{name: http, protocol: HTTP, port: 80}]}}
`

// badRoutes have an imported service as a backend in ways that only Cilium takes.
const badRoutes = `
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: cilium, namespace: shop}, spec: {parentRefs: [{name: cilium, namespace: infra}],
  rules: [{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: cart, port: 80}]}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: istio, namespace: shop}, spec: {parentRefs: [{name: istio, namespace: infra}],
  rules: [{backendRefs: [{name: amcs-cart, port: 80}]}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: nginx, namespace: shop}, spec: {parentRefs: [{name: nginx, namespace: infra}],
  rules: [{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: cart, port: 80}]}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {name: traefik, namespace: shop}, spec: {parentRefs: [{name: traefik, namespace: infra}],
  rules: [{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: cart, port: 80}]}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: derived, namespace: shop}, spec: {parentRefs: [{name: edge, namespace: infra}],
  rules: [{backendRefs: [{name: amcs-cart, port: 80}]}]}}
`
