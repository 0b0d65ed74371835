package fleet

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// namespace creates a namespace in the clusters.
func namespace(t testing.TB, name string, list ...*cluster) {
	t.Helper()
	for _, c := range list {
		_, err := c.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			must(t, err)
		}
	}
}

// service creates a ClusterIP Service with one port, http 80/TCP, changed as told.
func (c *cluster) service(t testing.TB, ns, name string, change ...func(*corev1.Service)) *corev1.Service {
	t.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}},
	}
	for _, f := range change {
		f(s)
	}
	s, err := c.kube.CoreV1().Services(ns).Create(t.Context(), s, metav1.CreateOptions{})
	must(t, err)
	return s
}

func headless(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }

// slice creates an EndpointSlice of a Service with ready endpoints, as the endpointslice controller would.
func (c *cluster) slice(t testing.TB, ns, service, suffix string, addresses []string, change ...func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
	t.Helper()
	port, name, protocol := int32(8080), "http", corev1.ProtocolTCP
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: service + "-" + suffix,
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	ready := true
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready}})
	}
	for _, f := range change {
		f(s)
	}
	s, err := c.kube.DiscoveryV1().EndpointSlices(ns).Create(t.Context(), s, metav1.CreateOptions{})
	must(t, err)
	return s
}

// export creates a ServiceExport.
func (c *cluster) export(t testing.TB, ns, name string, change ...func(*mcs.ServiceExport)) {
	t.Helper()
	e := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	for _, f := range change {
		f(e)
	}
	must(t, c.mcs.Post().Namespace(ns).Resource("serviceexports").Body(e).Do(t.Context()).Error())
}

func (c *cluster) unexport(t testing.TB, ns, name string) {
	t.Helper()
	must(t, c.mcs.Delete().Namespace(ns).Resource("serviceexports").Name(name).Do(t.Context()).Error())
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
	must(t, c.mcs.Post().Namespace(ns).Resource("serviceimports").Body(i).Do(t.Context()).Error())
}
