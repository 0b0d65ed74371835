package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// fieldManager is the field manager of what [Cluster.ApplyYAML] applies.
const fieldManager = "controlplane"

// ApplyYAML applies the objects of the manifests (YAML or JSON, several documents each) in their order, server-side, as
// the administrator, taking fields over from whoever holds them. Namespaced objects that name no namespace go to
// "default". After a CustomResourceDefinition it waits until its resources are served. An object with a field that its
// schema lacks is refused; only a create or an update drops such fields.
func (c *Cluster) ApplyYAML(ctx context.Context, manifests ...[]byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return fmt.Errorf("applying to cluster %s: %w", c.opts.Name, err)
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Discovery()))
	for _, object := range objects {
		if err := c.applyOne(ctx, client, mapper, object); err != nil {
			return fmt.Errorf("applying %s %s to cluster %s: %w", object.GetKind(), keyOf(object), c.opts.Name, err)
		}
	}
	return nil
}

func (c *Cluster) applyOne(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	gvk := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if object.GetNamespace() == "" {
			object.SetNamespace(metav1.NamespaceDefault)
		}
		resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	applied, err := resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return err
	}
	if mapping.Resource.GroupResource() == crdResource.GroupResource() {
		return c.awaitServed(ctx, client, applied)
	}
	return nil
}

// decode returns the objects of all documents, those of a List one by one.
func decode(manifests [][]byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, manifest := range manifests {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
			}
			if len(object.Object) == 0 { // nothing but a comment
				continue
			}
			if !object.IsList() {
				objects = append(objects, object)
				continue
			}
			list, err := object.ToList()
			if err != nil {
				return nil, err
			}
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
		}
	}
	return objects, nil
}

func keyOf(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetName()
	}
	return object.GetNamespace() + "/" + object.GetName()
}

// awaitServed waits until the API server serves exactly those versions of crd's resource that crd says: in discovery,
// and to a request.
func (c *Cluster) awaitServed(ctx context.Context, client dynamic.Interface, crd *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	resource := schema.GroupResource{Group: group, Resource: plural}
	want := versionsOf(crd, "served")
	return poll(ctx, func(ctx context.Context) error {
		have, err := c.discovered(resource)
		if err != nil {
			return err
		}
		if !slices.Equal(have, want) {
			return fmt.Errorf("discovery has %s in versions %q, not yet %q", resource, have, want)
		}
		for _, version := range want {
			_, err := client.Resource(resource.WithVersion(version)).List(ctx, metav1.ListOptions{Limit: 1})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// discovered returns the versions in which discovery lists resource, sorted.
func (c *Cluster) discovered(resource schema.GroupResource) ([]string, error) {
	_, lists, err := discovery.ServerGroupsAndResources(c.client.Discovery())
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil || gv.Group != resource.Group {
			continue
		}
		named := func(r metav1.APIResource) bool { return r.Name == resource.Resource }
		if slices.ContainsFunc(list.APIResources, named) {
			versions = append(versions, gv.Version)
		}
	}
	slices.Sort(versions)
	return versions, nil
}
