// Package mcsapi reaches ServiceExports and ServiceImports in whichever version of multicluster.x-k8s.io a cluster serves.
//
// The Go types are always those of v1beta1: v1alpha1 of the same API module has the same JSON, and older v1alpha1 CRDs
// have a subset of it. What differs is the version in the path and in apiVersion, which [NewClient] fixes per client.
// The package never decides what to do when nothing is served; it says so with [ErrNotServed].
package mcsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

// Group is the API group of ServiceExport and ServiceImport.
const Group = mcs.GroupName

// Versions are the versions that this package speaks, the preferred one first.
var Versions = []string{"v1beta1", "v1alpha1"}

// ErrNotServed is returned by [ServedVersion] when the API server answered that it serves the resource in no version
// of [Versions]: the CRD is missing, or too new, or too old.
var ErrNotServed = errors.New("not served")

// NewScheme returns a scheme that decodes the kinds of [Group] at version into the v1beta1 Go types.
func NewScheme(version string) *runtime.Scheme {
	gv := schema.GroupVersion{Group: Group, Version: version}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(gv, &mcs.ServiceExport{}, &mcs.ServiceExportList{}, &mcs.ServiceImport{}, &mcs.ServiceImportList{})
	metav1.AddToGroupVersion(scheme, gv)
	utilruntime.Must(metav1.AddMetaToScheme(scheme))
	return scheme
}

// NewClient returns a REST client for [Group] at version, built from cfg, which is not changed. Its objects are the
// v1beta1 Go types; its wire format is JSON, the only one that custom resources have.
func NewClient(cfg *rest.Config, version string) (*rest.RESTClient, error) {
	client, err := kubeclient.New(cfg)
	if err != nil {
		return nil, err
	}
	return NewClientWith(client, version)
}

// NewClientWith is [NewClient] over connections that the caller has.
func NewClientWith(client *kubeclient.Client, version string) (*rest.RESTClient, error) {
	return rest.RESTClientForConfigAndClient(Config(client.Config, version), client.HTTP)
}

// Config returns what the client of [NewClient] is made from, for one that decodes in a way of its own.
func Config(cfg *rest.Config, version string) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath = "/apis"
	cfg.GroupVersion = &schema.GroupVersion{Group: Group, Version: version}
	cfg.ContentType = runtime.ContentTypeJSON
	cfg.AcceptContentTypes = runtime.ContentTypeJSON
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(NewScheme(version)).WithoutConversion()
	return cfg
}

// ServedVersion asks the API server, within timeout, which version of [Versions] it serves resource ("serviceimports",
// "serviceexports") in, and returns the preferred one, or [ErrNotServed]. Any other error means that the server gave no
// answer, which says nothing about what it serves (SPEC A7, L6).
func ServedVersion(
	ctx context.Context, d discovery.ServerResourcesInterface, timeout time.Duration, resource string,
) (string, error) {
	served := ""
	err := eachServed(ctx, d, timeout, func(version string, list []metav1.APIResource) (enough bool) {
		if slices.ContainsFunc(list, func(r metav1.APIResource) bool { return r.Name == resource }) {
			served = version
		}
		return served != ""
	})
	if err == nil && served == "" {
		err = fmt.Errorf("%w; install the CRDs of sigs.k8s.io/mcs-api", ErrNotServed)
	}
	return served, err
}

// ServedVersions is [ServedVersion] for several resources at the cost of one, and within timeout. A resource that is served
// in no version is missing from the answer, and so is one whose CRD is being deleted, which can't be created any more.
func ServedVersions(
	ctx context.Context, d discovery.ServerResourcesInterface, timeout time.Duration, resources ...string,
) (map[string]string, error) {
	served := map[string]string{}
	err := eachServed(ctx, d, timeout, func(version string, list []metav1.APIResource) (enough bool) {
		for _, resource := range resources {
			found := slices.ContainsFunc(list, func(r metav1.APIResource) bool {
				return r.Name == resource && slices.Contains(r.Verbs, "create")
			})
			if found && served[resource] == "" {
				served[resource] = version
			}
		}
		return len(served) == len(resources)
	})
	if err != nil {
		return nil, err
	}
	return served, nil
}

// eachServed calls take with what is served of each version, the preferred one first, until that is enough.
func eachServed(
	ctx context.Context, d discovery.ServerResourcesInterface, timeout time.Duration, take func(version string, list []metav1.APIResource) (enough bool),
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dc := discovery.ToServerResourcesInterfaceWithContext(d)
	for _, version := range Versions {
		list, err := dc.ServerResourcesForGroupVersionWithContext(ctx, Group+"/"+version)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("asking which version of %s is served: %w", Group, err)
		}
		if take(version, list.APIResources) {
			return nil
		}
	}
	return nil
}
