package clusterset

import (
	"context"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// ServiceImport reads an import.
func (c *Cluster) ServiceImport(ctx context.Context, namespace, name string) (*mcs.ServiceImport, error) {
	object := new(mcs.ServiceImport)
	return object, c.mcs.Get().Namespace(namespace).Resource("serviceimports").Name(name).Do(ctx).Into(object)
}

// ServiceExport reads an export.
func (c *Cluster) ServiceExport(ctx context.Context, namespace, name string) (*mcs.ServiceExport, error) {
	object := new(mcs.ServiceExport)
	return object, c.mcs.Get().Namespace(namespace).Resource("serviceexports").Name(name).Do(ctx).Into(object)
}
