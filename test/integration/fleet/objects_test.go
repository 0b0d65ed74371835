package fleet

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/kit"
)

// namespace creates a namespace in the clusters.
func namespace(t testing.TB, name string, list ...*cluster) {
	t.Helper()
	for _, c := range list {
		kit.Namespace(t, c.kube, name)
	}
}

// service creates a ClusterIP Service with one port, http 80/TCP, changed as told.
func (c *cluster) service(t testing.TB, ns, name string, change ...func(*corev1.Service)) *corev1.Service {
	t.Helper()
	return kit.Service(t, c.kube, ns, name, change...)
}

func headless(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }

// slice creates an EndpointSlice of a Service with ready endpoints, as the endpointslice controller would.
func (c *cluster) slice(t testing.TB, ns, service, suffix string, addresses []string, change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	t.Helper()
	return kit.Slice(t, c.kube, ns, service, suffix, addresses, change...)
}

// export creates a ServiceExport.
func (c *cluster) export(t testing.TB, ns, name string, change ...func(*mcs.ServiceExport)) {
	t.Helper()
	kit.Export(t, c.mcs, ns, name, change...)
}

func (c *cluster) unexport(t testing.TB, ns, name string) {
	t.Helper()
	kit.Unexport(t, c.mcs, ns, name)
}

// importOf creates a person's ServiceImport: ClusterSetIP with the one port, changed as told.
func (c *cluster) importOf(t testing.TB, ns, name string, change ...func(*mcs.ServiceImport)) {
	t.Helper()
	i := &mcs.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, Ports: []mcs.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}},
	}
	for _, f := range change {
		f(i)
	}
	kit.Must(t, c.mcs.Post().Namespace(ns).Resource("serviceimports").Body(i).Do(t.Context()).Error())
}
