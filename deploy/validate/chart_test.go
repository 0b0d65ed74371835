package validate

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// everything switches on all that the chart can make.
var everything = map[string]any{
	"commonLabels":     map[string]any{"team": "network"},
	"imagePullSecrets": []any{map[string]any{"name": "registry"}},
	"controller": map[string]any{
		"self": "c1", "prefer": "local,c2", "exportByRule": map[string]any{"enabled": true, "selector": "app=web,tier!=test"}, "extraArgs": []any{"--workers=8"}, "podAnnotations": map[string]any{"a": "b"}, "podLabels": map[string]any{"c": "d"},
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"}, "tolerations": []any{map[string]any{"operator": "Exists"}},
		"priorityClassName": "system-cluster-critical",
		"topologySpreadConstraints": []any{map[string]any{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
			"whenUnsatisfiable": "ScheduleAnyway", "labelSelector": map[string]any{"matchLabels": map[string]any{"c": "d"}}}},
		"serviceAccount": map[string]any{"annotations": map[string]any{"e": "f"}},
		"metrics":        map[string]any{"secure": true},
	},
	"provider": map[string]any{"enabled": true, "consumer": true, "exportByRule": true},
	"coredns":  map[string]any{"stock": map[string]any{"enabled": true}, "own": map[string]any{"enabled": true, "clusterIP": "10.96.0.53"}},
}

// oneOf returns the only object of a kind and name.
func oneOf(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s among the %d objects", kind, name, len(objects))
	return nil
}

func rendered(t *testing.T, name string, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Template(name, values, "v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestChartLint(t *testing.T) {
	for name, values := range map[string]map[string]any{"defaults": {}, "everything": everything} {
		lint := action.NewLint()
		lint.Strict, lint.Namespace = true, namespace
		for _, message := range lint.Run([]string{chartDir}, values).Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, message)
			}
		}
	}
}

// TestChartKubeVersion: from 1.22 on, pre-releases and vendors' suffixes included (SPEC A7).
func TestChartKubeVersion(t *testing.T) {
	for version, good := range map[string]bool{"v1.21.14": false, "v1.22.0": true, "v1.22.15-aliyun.1": true, "v1.37.2": true} {
		if _, err := Template(release, nil, version); (err == nil) != good {
			t.Errorf("%s: got %v", version, err)
		}
	}
}

// TestChartValues: a wrong value is refused by the schema with a line that names it.
func TestChartValues(t *testing.T) {
	for name, tt := range map[string]struct {
		values map[string]any
		want   string
	}{
		"unknown":        {map[string]any{"controler": map[string]any{}}, "controler"},
		"unknown nested": {map[string]any{"controller": map[string]any{"replica": 1}}, "replica"},
		"id":             {map[string]any{"controller": map[string]any{"self": "Not_An_Id"}}, "self"},
		"id of three":    {map[string]any{"controller": map[string]any{"self": "a.b.c"}}, "self"},
		"boolean":        {map[string]any{"provider": map[string]any{"enabled": "yes"}}, "enabled"},
		"log format":     {map[string]any{"controller": map[string]any{"logFormat": "xml"}}, "logFormat"},
		"digest":         {map[string]any{"controller": map[string]any{"image": map[string]any{"digest": "latest"}}}, "digest"},
		"replicas":       {map[string]any{"controller": map[string]any{"replicas": -1}}, "replicas"},
	} {
		_, err := Template(release, tt.values, "v1.37.2")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error that names %q", name, err, tt.want)
		}
	}
}

func TestChartOptions(t *testing.T) {
	t.Run("only an exporter", func(t *testing.T) {
		objects := rendered(t, release, map[string]any{
			"controller": map[string]any{"enabled": false}, "provider": map[string]any{"enabled": true, "exportStatus": false}})
		for _, o := range objects {
			switch o.GetKind() {
			case "Deployment", "Service", "PodDisruptionBudget":
				t.Errorf("%s %s is there", o.GetKind(), o.GetName())
			case "ClusterRoleBinding":
				if o.GetName() != "multicluster:provider-read" {
					t.Errorf("%s is bound", o.GetName())
				}
			}
		}
		oneOf(t, objects, "Secret", "mcs-provider-token")
	})
	t.Run("two releases share no name outside their namespaces", func(t *testing.T) {
		names := map[string]bool{}
		for _, o := range rendered(t, release, everything) {
			names[o.GetKind()+" "+o.GetName()] = o.GetNamespace() == ""
		}
		second := map[string]any{"people": map[string]any{"enabled": false}}
		for k, v := range everything {
			second[k] = v
		}
		for _, o := range rendered(t, "other", second) {
			if names[o.GetKind()+" "+o.GetName()] {
				t.Errorf("%s %s is in both", o.GetKind(), o.GetName())
			}
		}
	})
	t.Run("image", func(t *testing.T) {
		for want, image := range map[string]map[string]any{
			"ghcr.io/clusterset/mcs-controller:v0.1.0":                      nil,
			"example.com/x:v9":                                              {"repository": "example.com/x", "tag": "v9"},
			"example.com/x@sha256:" + strings.Repeat("0123456789abcdef", 4): {"repository": "example.com/x", "tag": "v9", "digest": "sha256:" + strings.Repeat("0123456789abcdef", 4)},
		} {
			values := map[string]any{}
			if image != nil {
				values["controller"] = map[string]any{"image": image}
			}
			d := deployment(t, rendered(t, release, values), "mcs-controller")
			if got := d.Spec.Template.Spec.Containers[0].Image; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("zone", func(t *testing.T) {
		objects := rendered(t, release, map[string]any{"coredns": map[string]any{"own": map[string]any{"enabled": true, "zone": "cs.example"}}})
		corefile, _, _ := unstructured.NestedString(oneOf(t, objects, "ConfigMap", "coredns-multicluster").Object, "data", "Corefile")
		if !strings.HasPrefix(corefile, "cs.example:53 {") || !strings.Contains(corefile, "\n    multicluster cs.example\n") {
			t.Errorf("got Corefile\n%s", corefile)
		}
	})
}

// deployment returns a Deployment; fields that the type doesn't have fail the test.
func deployment(t *testing.T, objects []*unstructured.Unstructured, name string) *appsv1.Deployment {
	t.Helper()
	d := new(appsv1.Deployment)
	strictly(t, oneOf(t, objects, "Deployment", name), d)
	return d
}
