package multicluster

import (
	"slices"
	"testing"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/decode"
	"github.com/clusterset/multicluster/plugin/view"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// TestOrder_D14: another order of addresses and ports in an object shows in no answer, and is no change.
func TestOrder_D14(t *testing.T) {
	v := view.New()
	si := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Spec: mcs.ServiceImportSpec{
		Type: mcs.ClusterSetIP, IPs: []string{"10.9.0.1", "fd00::9"}, Ports: []mcs.ServicePort{{Name: "http", Port: 80}, {Name: "grpc", Port: 81}},
	}}
	es := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: "db-1", Labels: map[string]string{mcsapi.LabelServiceName: "db", mcsapi.LabelSourceCluster: "a"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](80)}, {Name: ptr.To("grpc"), Port: ptr.To[int32](81)}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}, {Addresses: []string{"10.1.0.2"}}},
	}
	set := func() {
		imp, _ := decode.Import(si)
		v.SetImport("ns", "web", *imp)
		service, slice, _ := decode.Slice(es.Name, es)
		v.SetSlice("ns", service, slice)
	}
	v.SetImport("ns", "db", view.Import{Headless: true})
	set()
	before := v.Changes()
	slices.Reverse(si.Spec.IPs)
	slices.Reverse(si.Spec.Ports)
	slices.Reverse(es.Ports)
	slices.Reverse(es.Endpoints)
	set()
	if after := v.Changes(); after != before {
		t.Errorf("%d changes", after-before)
	}
	si.Spec.Ports[0].Port = 82
	if set(); v.Changes() == before {
		t.Error("another port is no change")
	}
}
