package kit

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Namespace creates a namespace unless it exists.
func Namespace(t testing.TB, kube kubernetes.Interface, name string, change ...func(*corev1.Namespace)) {
	t.Helper()
	n := changed(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, change)
	if _, err := kube.CoreV1().Namespaces().Create(ctx(t), n, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		Must(t, err)
	}
}

// Service creates a ClusterIP Service without a selector, with one port: http, 80/TCP.
func Service(t testing.TB, kube kubernetes.Interface, namespace, name string, change ...func(*corev1.Service)) *corev1.Service {
	t.Helper()
	s := changed(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}},
	}, change)
	s, err := kube.CoreV1().Services(namespace).Create(ctx(t), s, metav1.CreateOptions{})
	Must(t, err)
	return s
}

// Slice creates an EndpointSlice of a Service as the endpointslice controller does: port http 8080/TCP, an endpoint that is ready for
// each address. Its name is the Service's and suffix.
func Slice(
	t testing.TB, kube kubernetes.Interface, namespace, service, suffix string, addresses []string, change ...func(*discoveryv1.EndpointSlice),
) *discoveryv1.EndpointSlice {
	t.Helper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service + "-" + suffix,
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true)},
		})
	}
	s, err := kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx(t), changed(s, change), metav1.CreateOptions{})
	Must(t, err)
	return s
}

// Export creates a ServiceExport. Client is one for multicluster.x-k8s.io at v1beta1.
func Export(t testing.TB, client rest.Interface, namespace, name string, change ...func(*mcs.ServiceExport)) *mcs.ServiceExport {
	t.Helper()
	e := changed(&mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, change)
	out := &mcs.ServiceExport{}
	Must(t, client.Post().Namespace(namespace).Resource("serviceexports").Body(e).Do(ctx(t)).Into(out))
	return out
}

// Unexport deletes a ServiceExport. Client is that of [Export].
func Unexport(t testing.TB, client rest.Interface, namespace, name string) {
	t.Helper()
	Must(t, client.Delete().Namespace(namespace).Resource("serviceexports").Name(name).Do(ctx(t)).Error())
}

// changed applies what a test wants to have different.
func changed[T any](o *T, change []func(*T)) *T {
	for _, f := range change {
		f(o)
	}
	return o
}

// ctx is for requests that cleanups make, too.
func ctx(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }
