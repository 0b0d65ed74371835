package controlplane

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/mcs-api/config/crd"
)

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// mcsCRDs are the CustomResourceDefinitions of the MCS API that clusters here have.
var mcsCRDs = []string{"serviceexports.multicluster.x-k8s.io", "serviceimports.multicluster.x-k8s.io"}

// The CRDs of module sigs.k8s.io/mcs-api v0.1.0, directory config/crd, unchanged.
var (
	//go:embed crds/v0.1.0/multicluster.x-k8s.io_serviceexports.yaml
	serviceExportCRDV010 []byte
	//go:embed crds/v0.1.0/multicluster.x-k8s.io_serviceimports.yaml
	serviceImportCRDV010 []byte
)

// InstallCRDs installs ServiceExport and ServiceImport of mcs-api v0.5.2, which serve v1beta1 and v1alpha1, and returns
// when they are served. Over the older ones of [Cluster.InstallCRDsV010] it is an upgrade.
func (c *Cluster) InstallCRDs(ctx context.Context) error {
	return c.ApplyYAML(ctx, crd.ServiceExportCRD, crd.ServiceImportCRD)
}

// InstallCRDsV010 installs ServiceExport and ServiceImport of mcs-api v0.1.0, which serve v1alpha1 with fewer fields
// (SPEC A7): one IP, no IP families, no conditions of imports, no exported labels and annotations.
func (c *Cluster) InstallCRDsV010(ctx context.Context) error {
	return c.ApplyYAML(ctx, serviceExportCRDV010, serviceImportCRDV010)
}

// UninstallCRDs removes what [Cluster.InstallCRDs] or [Cluster.InstallCRDsV010] installed, with all objects, and returns
// when nothing of it is served any more. What is not installed it leaves so.
func (c *Cluster) UninstallCRDs(ctx context.Context) error {
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	for _, name := range mcsCRDs {
		if err := c.uninstall(ctx, client.Resource(crdResource), name); err != nil {
			return fmt.Errorf("removing CRD %s from cluster %s: %w", name, c.opts.Name, err)
		}
	}
	return nil
}

func (c *Cluster) uninstall(ctx context.Context, crds dynamic.ResourceInterface, name string) error {
	if err := crds.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return poll(ctx, func(ctx context.Context) error {
		if _, err := crds.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is still there (reading it gave error %v)", err)
		}
		versions, err := c.discovered(schema.ParseGroupResource(name))
		if err == nil && len(versions) > 0 {
			return fmt.Errorf("discovery still has %q", versions)
		}
		return err
	})
}

// SetServedVersions makes the installed ServiceExports and ServiceImports served in the given versions ("v1alpha1",
// "v1beta1") and no other, and returns when they are. A version that a CRD does not have is an error.
func (c *Cluster) SetServedVersions(ctx context.Context, versions ...string) error {
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	for _, name := range mcsCRDs {
		if err := c.setServed(ctx, client, name, versions); err != nil {
			return fmt.Errorf("setting the served versions of %s in cluster %s: %w", name, c.opts.Name, err)
		}
	}
	return nil
}

func (c *Cluster) setServed(ctx context.Context, client dynamic.Interface, name string, served []string) error {
	crd, err := client.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	all := versionsOf(crd, "name")
	for _, version := range served {
		if !slices.Contains(all, version) {
			return fmt.Errorf("it has %q, not %s", all, version)
		}
	}
	list, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		return err
	}
	for _, item := range list {
		version := item.(map[string]any)
		version["served"] = slices.Contains(served, version["name"].(string))
	}
	if err := unstructured.SetNestedSlice(crd.Object, list, "spec", "versions"); err != nil {
		return err
	}
	crd, err = client.Resource(crdResource).Update(ctx, crd, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return err
	}
	return c.awaitServed(ctx, client, crd)
}

// versionsOf returns the sorted names of those versions of crd whose field is set.
func versionsOf(crd *unstructured.Unstructured, field string) []string {
	var names []string
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, item := range versions {
		version, _ := item.(map[string]any)
		name, _ := version["name"].(string)
		if set := version[field]; set != nil && set != false && set != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
