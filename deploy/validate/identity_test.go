package validate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/controlplane"
)

const exported = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.2.7], conditions: {ready: true}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: dev}]
`

// TestIdentities installs two clusters, joins them as deploy/README.md says, and runs the controller and CoreDNS as the pods that
// were made would: their arguments, their ServiceAccounts' tokens. People with the role `edit` export a service (SPEC X1), and its
// name resolves. No request is refused on the way, and no right is granted that nobody needs; and what the README says of uninstalling leaves nothing but the CRDs.
func TestIdentities(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	clusters := controlplane.AllForTest(t,
		controlplane.Options{Name: "c1", ControllerManager: true, AuditLog: true, AuditReads: true, ServiceCIDRs: []string{"10.96.0.0/16"}},
		controlplane.Options{Name: "c2", ControllerManager: true, AuditLog: true, AuditReads: true, ServiceCIDRs: []string{"10.97.0.0/16"}})
	if err := controlplane.MergedKubeconfig(kubeconfig, clusters...); err != nil {
		t.Fatal(err)
	}
	c1, c2 := newServer(t, clusters[0]), newServer(t, clusters[1])
	for _, c := range clusters {
		if err := c.SetClusterID(t.Context(), c.Name()); err != nil {
			t.Fatal(err)
		}
	}
	used := uses{}
	before := map[*server]map[string]bool{c1: c1.mustInventory(t), c2: c2.mustInventory(t)}
	for name, role := range map[string]struct {
		values   map[string]any // of the chart, in c1
		overlay  string         // in c2
		members  []string       // that are registered in c1
		role     string         // of c2
		verdicts []*server      // where the verdict on the exports is written (DESIGN 3)
	}{
		"member": {
			values: map[string]any{"controller": map[string]any{"self": "c1"}}, overlay: "provider", members: []string{"c2"},
			verdicts: []*server{c1},
		},
		"fleet": {
			values:  map[string]any{"provider": map[string]any{"enabled": true, "consumer": true}},
			overlay: "overlays/fleet-member", members: []string{"c1", "c2"}, verdicts: []*server{c1, c2},
		},
		"fleet, c2 only exports": {
			values:  map[string]any{"provider": map[string]any{"enabled": true, "consumer": true}},
			overlay: "provider", members: []string{"c1", "c2"}, role: "provider", verdicts: []*server{c1, c2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c2.shell(t, kubeconfig, "kubectl config use-context c2", "kubectl apply --server-side -k deploy/crds", "kubectl apply -k deploy/"+role.overlay)
			role.values["coredns"] = map[string]any{"stock": map[string]any{"enabled": true}}
			h := newHelm(t, c1.Kubeconfig())
			h.install(theChart(t), role.values)
			for _, id := range role.members {
				map[string]*server{"c1": c1, "c2": c2}[id].awaitToken(t)
				c1.shell(t, kubeconfig, strings.ReplaceAll(strings.Join(readmeSection(t, "Members"), "\n"), "c2", id))
			}
			if role.role != "" {
				c1.restrict(t, "c2", role.role)
			}
			controller, canary := c1.runController(t), runCanary(t, c1)
			canary.says(t, "svc.clusterset.local.", "") // it has read everything: what comes now is a change, and measured
			for _, s := range []*server{c1, c2} {
				if err := s.ApplyYAML(t.Context(), []byte(exported)); err != nil {
					t.Fatal(err)
				}
				s.export(t, "dev")
			}
			ip := c1.awaitImported(t)
			for _, s := range role.verdicts {
				s.awaitVerdict(t)
			}
			canary.answers(t, ip)
			metricsServed(t, scrape(t, controller.metricsAddress(t)), scrape(t, canary.metrics))
			exercise(t, c1, c2, kubeconfig)
			for _, s := range []*server{c1, c2} {
				s.nothingRefused(t)
				used.note(t, s)
			}
			controller.stop()
			if log := strings.ToLower(controller.Log()); strings.Contains(log, "forbidden") || strings.Contains(log, `"level":"error"`) {
				t.Errorf("the controller complains:\n%s", controller.Log())
			}

			for _, s := range []*server{c1, c2} {
				s.shell(t, kubeconfig, "kubectl config use-context "+s.Name(), "kubectl delete namespace shop")
			}
			c2.shell(t, kubeconfig, "kubectl config use-context c2", "kubectl delete --ignore-not-found -k deploy/"+role.overlay)
			uninstall(t, h, c1, kubeconfig)
			for _, s := range []*server{c1, c2} {
				s.awaitLeft(t, before[s], "CustomResourceDefinition /serviceexports.multicluster.x-k8s.io",
					"CustomResourceDefinition /serviceimports.multicluster.x-k8s.io",
					"ServiceAccount kube-system/coredns", "ClusterRole /system:coredns", "ClusterRoleBinding /system:coredns")
			}
		})
	}
	used.check(t)
}

// runController runs the controller as the pods of its Deployment would.
func (s *server) runController(t *testing.T) *pod {
	t.Helper()
	d, err := s.kube.AppsV1().Deployments(namespace).Get(t.Context(), "mcs-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := s.run(t, program(t, "mcs-controller"), namespace, &d.Spec.Template.Spec,
		strings.NewReplacer("=:8080", "=127.0.0.1:0", "=:8081", "=127.0.0.1:0"))
	await(t, time.Minute, func(context.Context) error { // or it could take a port that is free for another program
		if strings.Count(p.Log(), `"msg":"serving"`) < 2 {
			return errors.New("the controller does not serve metrics and health yet")
		}
		return nil
	})
	return p
}

// metricsAddress is where the controller serves its metrics, as its log says.
func (p *pod) metricsAddress(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`"flag":"--metrics-bind-address","address":"([^"]*)"`).FindStringSubmatch(p.Log())
	if found == nil {
		t.Fatal("the controller's log does not say where its metrics are")
	}
	return found[1]
}

// uninstall does what the README says, with the library in place of the command helm.
func uninstall(t *testing.T, h *helm, s *server, kubeconfig string) {
	t.Helper()
	for _, command := range append([]string{"kubectl config use-context c1"}, readmeSection(t, "Uninstall")...) {
		if strings.HasPrefix(command, "helm ") {
			h.uninstall()
			continue
		}
		s.shell(t, kubeconfig, command)
	}
}

func (s *server) awaitToken(t *testing.T) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		secret, err := s.kube.CoreV1().Secrets(namespace).Get(ctx, "mcs-provider-token", metav1.GetOptions{})
		if err == nil && len(secret.Data[corev1.ServiceAccountTokenKey]) == 0 {
			err = errors.New("the Secret has no token yet")
		}
		return err
	})
}

var (
	exportResource = schema.GroupVersionResource{Group: mcs.GroupName, Version: "v1beta1", Resource: mcs.ServiceExportPluralName}
	importResource = schema.GroupVersionResource{Group: mcs.GroupName, Version: "v1beta1", Resource: mcs.ServiceImportPluralName}
)

// export creates a ServiceExport as a person, once the role of that person has been extended, and tries an import, which takes
// another role.
func (s *server) export(t *testing.T, user string) {
	t.Helper()
	client := s.as(t, user)
	object := func(kind string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": mcs.GroupName + "/v1beta1", "kind": kind,
			"metadata": map[string]any{"name": "cart"}, "spec": map[string]any{}}}
	}
	await(t, time.Minute, func(ctx context.Context) error {
		_, err := client.Resource(exportResource).Namespace("shop").Create(ctx, object("ServiceExport"), metav1.CreateOptions{})
		return err
	})
	// `edit` has what `view` has, which is aggregated first: it may come later than the right to export.
	await(t, time.Minute, func(ctx context.Context) error {
		_, err := client.Resource(importResource).Namespace("shop").List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := client.Resource(importResource).Namespace("shop").Create(t.Context(), object("ServiceImport"), metav1.CreateOptions{}); err == nil {
		t.Error("`edit` may create ServiceImports; that is for an opt-in role")
	}
}

// awaitImported waits until the import is there whole, and returns its address.
func (s *server) awaitImported(t *testing.T) string {
	t.Helper()
	var ip string
	await(t, time.Minute, func(ctx context.Context) error {
		o, err := s.objects.Resource(importResource).Namespace("shop").Get(ctx, "cart", metav1.GetOptions{})
		if err != nil {
			return err
		}
		ips, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "ips")
		if len(ips) == 0 {
			return errors.New("the import has no address yet")
		}
		ip = ips[0]
		slices, err := s.kube.DiscoveryV1().EndpointSlices("shop").List(ctx, metav1.ListOptions{LabelSelector: mcs.LabelServiceName + "=cart"})
		if err == nil && len(slices.Items) != 2 {
			err = fmt.Errorf("there are %d imported slices, want one of each cluster", len(slices.Items))
		}
		return err
	})
	return ip
}

// awaitVerdict waits until the exporting cluster shows what became of the export: the provider identity's only write.
func (s *server) awaitVerdict(t *testing.T) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		o, err := s.objects.Resource(exportResource).Namespace("shop").Get(ctx, "cart", metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Ready" && c["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("the export's conditions are %v", conditions)
	})
}

// nothingRefused: no request of a ServiceAccount of ours was refused.
func (s *server) nothingRefused(t *testing.T) {
	t.Helper()
	requests, err := s.AuditedRequests()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		if strings.HasPrefix(r.User, "system:serviceaccount:"+namespace+":") && r.Code == 403 {
			t.Errorf("refused: %s %s %s/%s by %s", r.Verb, r.Resource, r.Namespace, r.Name, r.User)
		}
	}
}
