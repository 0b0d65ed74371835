package validate

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/mcs-api/config/crd"
)

var update = flag.Bool("update", false, "write the copies that the chart holds anew, from deploy/rbac and the API's module")

// TestCopies: the CRDs are those of the API's module, and the chart's roles those of deploy/rbac, byte for byte. Helm reads
// nothing outside of a chart's folder, kustomize nothing outside of a base's: hence the copies.
func TestCopies(t *testing.T) {
	want := map[string][]byte{}
	for _, dir := range []string{deployDir + "/crds", chartDir + "/crds"} {
		want[dir+"/multicluster.x-k8s.io_serviceexports.yaml"] = crd.ServiceExportCRD
		want[dir+"/multicluster.x-k8s.io_serviceimports.yaml"] = crd.ServiceImportCRD
	}
	for _, file := range roleFiles(t) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want[chartDir+"/files/rbac/"+filepath.Base(file)] = body
	}
	for path, body := range want {
		if *update {
			if err := os.WriteFile(path, body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s is not what it is a copy of (%v); go test ./... -run TestCopies -update writes it", path, err)
		}
	}
	for _, dir := range []string{deployDir + "/crds", chartDir + "/crds", chartDir + "/files/rbac"} {
		files, _ := filepath.Glob(dir + "/*")
		for _, file := range files {
			if _, ok := want[file]; !ok && filepath.Base(file) != "kustomization.yaml" {
				t.Errorf("%s is a copy of nothing", file)
			}
		}
	}
}

// roleFiles are the files that the roles come from.
func roleFiles(t *testing.T) []string {
	t.Helper()
	var roles []string
	for _, pattern := range []string{"/rbac/*.yaml", "/rbac/*/*.yaml"} {
		files, err := filepath.Glob(deployDir + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Base(file) != "kustomization.yaml" {
				roles = append(roles, file)
			}
		}
	}
	if len(roles) == 0 {
		t.Fatal("deploy/rbac has no roles")
	}
	return roles
}

// TestChartAndKustomize: the chart and the bases make the same objects, labels apart.
func TestChartAndKustomize(t *testing.T) {
	for base, values := range map[string]map[string]any{
		"fleet":    {},
		"provider": {"controller": map[string]any{"enabled": false}, "provider": map[string]any{"enabled": true}},
		"people":   {"controller": map[string]any{"enabled": false}},
		"coredns": {"controller": map[string]any{"enabled": false}, "people": map[string]any{"enabled": false},
			"coredns": map[string]any{"own": map[string]any{"enabled": true}}},
		"coredns-stock": {"controller": map[string]any{"enabled": false}, "people": map[string]any{"enabled": false},
			"coredns": map[string]any{"stock": map[string]any{"enabled": true}}},
		"overlays/both": {"controller": map[string]any{"self": "c1"}, "provider": map[string]any{"enabled": true}},
		"quickstart": {"controller": map[string]any{"self": "c1"}, "provider": map[string]any{"enabled": true},
			"coredns": map[string]any{"own": map[string]any{"enabled": true}}},
		"overlays/fleet-on-demand": {"controller": map[string]any{"automaticImports": false}},
		"overlays/fleet-member": {"controller": map[string]any{"enabled": false},
			"provider": map[string]any{"enabled": true, "consumer": true}},
	} {
		t.Run(base, func(t *testing.T) {
			fromBase, err := Kustomize(base)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range fromBase {
				asInChart(t, o)
			}
			if diff := cmp.Diff(alike(t, fromBase), alike(t, rendered(t, release, values)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the base (-) and the chart (+) differ:\n%s", diff)
			}
		})
	}
}

// asInChart gives what deploy/coredns makes the names that it has in the chart, where it is uninstalled together with the
// controller, and so shares its namespace; its role is that of the stock CoreDNS.
func asInChart(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	body, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	own := "multicluster:coredns"
	if o.GetKind() == "ClusterRoleBinding" {
		own = "multicluster:coredns-own"
	}
	text := strings.ReplaceAll(string(body), `"mcs-dns"`, `"`+namespace+`"`)
	text = strings.ReplaceAll(text, `"kind":"ClusterRole","name":"multicluster:dns"`, `"kind":"ClusterRole","name":"multicluster:coredns"`)
	text = strings.ReplaceAll(text, `"multicluster:dns"`, `"`+own+`"`)
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// alike returns objects by kind and name without what may differ: labels and selectors by them, how the container's
// variables get their values, and the namespace, which Helm makes itself.
func alike(t *testing.T, objects []*unstructured.Unstructured) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, o := range objects {
		name := o.GetKind() + " " + o.GetName()
		switch o.GetKind() {
		case "Namespace":
			continue
		case "ClusterRole":
			role := new(rbacv1.ClusterRole)
			strictly(t, o, role)
			for key := range role.Labels {
				if !strings.HasPrefix(key, "rbac.authorization.k8s.io/") {
					delete(role.Labels, key)
				}
			}
			out[name] = role
			continue
		case "Deployment":
			pod := resolved(t, objects, o.GetName())
			out[name+" pod"] = pod
			unstructured.RemoveNestedField(o.Object, "spec", "template")
		case "ConfigMap":
			if o.GetName() == "mcs-controller" || strings.HasPrefix(o.GetName(), "mcs-controller-") {
				continue // its values are in the arguments
			}
			name = "ConfigMap " + strings.SplitAfter(o.GetName(), "multicluster")[0] // kustomize appends a hash
			o.SetName("")
		}
		o.SetLabels(nil)
		for _, field := range []string{"selector"} {
			unstructured.RemoveNestedField(o.Object, "spec", field)
		}
		body, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatal(err)
		}
		out[name] = plain
	}
	return out
}

// resolved returns the pod that a Deployment makes, with the variables from ConfigMaps set into the arguments.
func resolved(t *testing.T, objects []*unstructured.Unstructured, name string) *corev1.PodSpec {
	t.Helper()
	pod := &deployment(t, objects, name).Spec.Template.Spec
	c := &pod.Containers[0]
	var rest []corev1.EnvVar
	for _, env := range c.Env {
		if env.ValueFrom == nil || env.ValueFrom.ConfigMapKeyRef == nil {
			rest = append(rest, env)
			continue
		}
		ref := env.ValueFrom.ConfigMapKeyRef
		value, found, _ := unstructured.NestedString(oneOf(t, objects, "ConfigMap", ref.Name).Object, "data", ref.Key)
		if !found {
			t.Errorf("ConfigMap %s has no %s", ref.Name, ref.Key)
		}
		for i := range c.Args {
			c.Args[i] = strings.ReplaceAll(c.Args[i], "$("+env.Name+")", value)
		}
	}
	c.Env = rest
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = corev1.PullIfNotPresent // the default for an image with a version
	}
	for _, v := range pod.Volumes {
		if v.ConfigMap != nil {
			v.ConfigMap.Name = strings.SplitAfter(v.ConfigMap.Name, "multicluster")[0]
		}
	}
	for i := range pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		term := &pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[i].PodAffinityTerm
		term.LabelSelector = &metav1.LabelSelector{}
	}
	return pod
}

// strictly decodes an object into a type, and fails the test over fields that the type doesn't have.
func strictly(t *testing.T, o *unstructured.Unstructured, into any) {
	t.Helper()
	body, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}
