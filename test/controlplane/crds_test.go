package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

var importResource = schema.GroupResource{Group: "multicluster.x-k8s.io", Resource: "serviceimports"}

// fullImport has a field that mcs-api v0.1.0 does not know (SPEC A7).
func fullImport() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "multicluster.x-k8s.io/v1alpha1",
		"kind":       "ServiceImport",
		"metadata":   map[string]any{"name": "full", "namespace": "default"},
		"spec": map[string]any{
			"type":       "ClusterSetIP",
			"ips":        []any{"10.0.0.1"},
			"ipFamilies": []any{"IPv4"},
			"ports":      []any{map[string]any{"port": int64(80)}},
		},
	}}
}

// TestCRDs installs, upgrades, narrows and removes the CRDs in one cluster.
func TestCRDs(t *testing.T) {
	c := ForTest(t, Options{})
	cfg := c.Config()
	cfg.WarningHandler = rest.NoWarnings{} // of fields that are dropped
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, do func(context.Context) error, want ...string) {
		t.Helper()
		if err := do(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if have, err := c.discovered(importResource); err != nil || !slices.Equal(have, want) {
			t.Errorf("%s: discovery has versions %q, error %v, want %q", what, have, err, want)
		}
	}
	set := func(versions ...string) func(context.Context) error {
		return func(ctx context.Context) error { return c.SetServedVersions(ctx, versions...) }
	}

	step("none", func(context.Context) error { return nil })
	step("install v0.1.0", c.InstallCRDsV010, "v1alpha1")
	if err := create(t.Context(), client, fullImport()); err != nil {
		t.Fatal(err)
	}
	if spec := specOf(t, client, "v1alpha1"); spec["ipFamilies"] != nil || spec["ips"] == nil {
		t.Errorf("the CRD of v0.1.0 kept %v; it should drop ipFamilies and nothing else", spec)
	}
	// What a create drops, a server-side apply refuses as a whole.
	if err := c.ApplyYAML(t.Context(), yamlOf(t, fullImport())); err == nil || !strings.Contains(err.Error(), "ipFamilies") {
		t.Errorf("applying a field that the CRD lacks gave error %v", err)
	}
	step("upgrade to v0.5.2", c.InstallCRDs, "v1alpha1", "v1beta1")
	apply(t, c, string(yamlOf(t, fullImport())))
	if spec := specOf(t, client, "v1beta1"); spec["ipFamilies"] == nil {
		t.Errorf("the CRD of v0.5.2 kept %v, without ipFamilies", spec)
	}
	step("only v1alpha1", set("v1alpha1"), "v1alpha1")
	specOf(t, client, "v1alpha1")
	step("only v1beta1", set("v1beta1"), "v1beta1")
	specOf(t, client, "v1beta1")
	step("both again", set("v1beta1", "v1alpha1"), "v1alpha1", "v1beta1")
	if err := c.SetServedVersions(t.Context(), "v2"); err == nil || !strings.Contains(err.Error(), "v2") {
		t.Errorf("serving a version that there is not gave error %v", err)
	}
	step("remove", c.UninstallCRDs)
	step("remove what is not there", c.UninstallCRDs)
	step("install v0.5.2 anew", c.InstallCRDs, "v1alpha1", "v1beta1")
}

func create(ctx context.Context, client dynamic.Interface, imported *unstructured.Unstructured) error {
	version := imported.GroupVersionKind().Version
	_, err := client.Resource(importResource.WithVersion(version)).Namespace(imported.GetNamespace()).
		Create(ctx, imported, metav1.CreateOptions{})
	return err
}

func yamlOf(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	text, err := object.MarshalJSON() // which is YAML too
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func specOf(t *testing.T, client dynamic.Interface, version string) map[string]any {
	t.Helper()
	imported, err := client.Resource(importResource.WithVersion(version)).Namespace("default").
		Get(t.Context(), "full", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, _ := unstructured.NestedMap(imported.Object, "spec")
	return spec
}

func TestDecode(t *testing.T) {
	objects, err := decode([][]byte{[]byte(`
# nothing
---
{apiVersion: v1, kind: Namespace, metadata: {name: a}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: b, namespace: a}}
- {apiVersion: v1, kind: Service, metadata: {name: c, namespace: a}}
`), []byte(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "d"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, object := range objects {
		have = append(have, fmt.Sprint(object.GetKind(), " ", keyOf(object)))
	}
	if want := []string{"Namespace a", "Service a/b", "Service a/c", "Secret d"}; !slices.Equal(have, want) {
		t.Errorf("got %q, want %q", have, want)
	}
	if _, err := decode([][]byte{[]byte("kind: [")}); err == nil {
		t.Error("half a document is no error")
	}
}
