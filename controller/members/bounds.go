package members

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/mirror"
)

// This file bounds what is kept of an importing cluster's own objects (SPEC X6). Those that a provider exports have bounds by name.

// boundConsumer bounds the stores that every connection has; that of imports is bounded where it is made.
func (c *connection) boundConsumer() {
	if c.reg.Consumer { // of a provider, only exported Services are kept
		c.services.Store.Total = total[*corev1.Service](keep.MaxServices, keep.WeighService)
	}
	c.imported.Store.Total = total[*discoveryv1.EndpointSlice](keep.MaxImportedSlices, keep.WeighImported)
	c.namespaces.Store.Total = total[*corev1.Namespace](keep.MaxNamespaces, keep.WeighNamespace)
	c.nodes.Store.Total = total[*corev1.Node](keep.MaxNodes, keep.WeighNode)
}

func total[T mirror.Object](most int, weigh func(T) int) mirror.Total[T] {
	return mirror.Total[T]{Most: most, Weigh: weigh, Refused: func(o T) bool { return keep.Refused(o) != "" }}
}

// refused counts the objects of an importing cluster that are too large, of which only a part is kept.
func (c *connection) refused() int {
	n := c.imported.Store.Refused() + c.nodes.Store.Refused()
	if imports := c.imports.Read(); imports != nil {
		n += imports.Refused()
	}
	return n
}
