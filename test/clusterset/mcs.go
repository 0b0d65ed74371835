package clusterset

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// CreateImport creates an import of the given type with the one port http, 80/TCP, as the walk-through does.
func (c *Cluster) CreateImport(ctx context.Context, namespace, name string, kind mcs.ServiceImportType) error {
	object := &mcs.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       mcs.ServiceImportSpec{Type: kind, Ports: []mcs.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}}},
	}
	return c.mcs.Post().Namespace(namespace).Resource("serviceimports").Body(object).Do(ctx).Error()
}
