package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key  = types.NamespacedName{Namespace: "provider-ns", Name: "service1"}
)

// defaultConsumer is a dual-stack cluster with present CRDs.
func defaultConsumer() Consumer {
	return Consumer{
		Cluster: "consumer", ClusterSet: "demo", Automatic: true, ImportVersion: "v1beta1",
		Families: []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol},
	}
}

// exporter is a provider as the tests need it: a Service with its export and slices.
type exporter struct {
	cluster   string
	age       time.Duration
	service   corev1.ServiceSpec
	labels    map[string]string
	slices    []*discoveryv1.EndpointSlice
	withdrawn bool
}

// provider has the Service of the walk-through (SPEC A1), with an IPv4 slice of two endpoints.
func provider(cluster string, age time.Duration) *exporter {
	e := &exporter{cluster: cluster, age: age, service: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
	}}
	e.slices = []*discoveryv1.EndpointSlice{slice("service1-abcde", discoveryv1.AddressTypeIPv4, []string{"http"}, "10.1.0.1", "10.1.0.2")}
	return e
}

func slice(name string, family discoveryv1.AddressType, ports []string, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name, Labels: map[string]string{
			discoveryv1.LabelServiceName: key.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io", "app": "web-demo"}},
		AddressType: family,
	}
	for i, port := range ports {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr(port), Protocol: ptr(corev1.ProtocolTCP), Port: ptr(int32(8080 + i))})
	}
	for i, address := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, Zone: ptr("zone-a"), NodeName: ptr(fmt.Sprintf("node-%d", i)),
			Conditions: discoveryv1.EndpointConditions{Ready: ptr(true), Serving: ptr(true), Terminating: ptr(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: fmt.Sprintf("web-%d", i)},
		})
	}
	return s
}

// wanted merges exporters into what the clusterset wants.
func wanted(t testing.TB, exporters ...*exporter) Wanted {
	t.Helper()
	w := Wanted{Key: key}
	var exports []merge.Export
	for _, e := range exporters {
		export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, CreationTimestamp: metav1.NewTime(noon.Add(-e.age))}}
		export.Spec.ExportedLabels = e.labels
		out, invalid := merge.Of(e.cluster, export, &corev1.Service{ObjectMeta: export.ObjectMeta, Spec: e.service}, nil)
		if invalid != nil {
			t.Fatal(invalid)
		}
		exports = append(exports, out)
		w.Sources = append(w.Sources, Source{Cluster: e.cluster, Slices: e.slices, Withdrawn: e.withdrawn})
	}
	if len(exports) > 0 {
		result := merge.Merge(exports, noon)
		w.Service = &result
	}
	return w
}

// onDemand is the document's ServiceImport (SPEC A2).
func onDemand() *mcs.ServiceImport {
	return &mcs.ServiceImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Generation: 1},
		Spec:       mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, Ports: []mcs.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}}},
	}
}

func ptr[T any](v T) *T { return &v }
