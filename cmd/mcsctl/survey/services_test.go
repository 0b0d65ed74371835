package survey

import (
	"bytes"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

func meta(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }

func imported(ns, service, from string, ready ...bool) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Labels: map[string]string{
		mcsapi.LabelServiceName: service, mcsapi.LabelSourceCluster: from}}}
	for i := range ready {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: &ready[i]}})
	}
	return s
}

// TestServices: one line for every name, put together from what several clusters hold of it.
func TestServices(t *testing.T) {
	c1 := Cluster{Member: &members.Cluster{ID: "c1"}, Exports: []mcs.ServiceExport{
		{ObjectMeta: meta("shop", "cart"), Status: mcs.ServiceExportStatus{Conditions: []metav1.Condition{{Type: "Conflict", Status: metav1.ConditionTrue, Reason: "PortConflict,TypeConflict"}}}},
		{ObjectMeta: meta("shop", "lone")},
		{ObjectMeta: meta("bad", "ext"), Status: mcs.ServiceExportStatus{Conditions: []metav1.Condition{{Type: "Valid", Status: metav1.ConditionFalse, Reason: "InvalidServiceType"}}}},
	}}
	status := mcs.ServiceImportStatus{Clusters: []mcs.ClusterStatus{{Cluster: "c1"}, {Cluster: "c9"}}}
	c2 := Cluster{
		Member: &members.Cluster{ID: "c2"},
		Imports: []mcs.ServiceImport{
			{ObjectMeta: meta("shop", "cart"), Spec: mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, IPs: []string{"10.2.0.7"}}, Status: status},
			{ObjectMeta: meta("shop", "waits"), Spec: mcs.ServiceImportSpec{Type: mcs.Headless}, Status: mcs.ServiceImportStatus{Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Pending"}}}},
		},
		Slices: []discoveryv1.EndpointSlice{imported("shop", "cart", "c1", true, false), imported("shop", "cart", "c1", true), imported("shop", "cart", "c9")},
	}
	c3 := Cluster{Member: &members.Cluster{ID: "c3"}, Imports: []mcs.ServiceImport{
		{ObjectMeta: meta("shop", "cart"), Spec: mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, IPs: []string{"10.3.0.7", "fd00::7"}}, Status: status},
	}}
	var out bytes.Buffer
	PrintServices(screen.New(&out, &out, screen.Text), Services([]Cluster{c1, c2, c3}))
	const want = `NAMESPACE   NAME    TYPE           IPS                               EXPORTED BY      CONFLICTS                   NOTES
bad         ext     -              -                                 -                -                           c1: InvalidServiceType
shop        cart    ClusterSetIP   c2=10.2.0.7 c3=10.3.0.7,fd00::7   c1 2/3, c9 0/0   PortConflict,TypeConflict   -
shop        lone    -              -                                 c1               -                           -
shop        waits   Headless       -                                 -                -                           c2: Pending
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// SPEC P: what exports and imports choose stands beside them, and costs no column where nobody chooses.
func TestServicesShowChoice_P(t *testing.T) {
	annotated := func(m metav1.ObjectMeta, pairs ...string) metav1.ObjectMeta {
		m.Annotations = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Annotations[pairs[i]] = pairs[i+1]
		}
		return m
	}
	byRule := meta("shop", "cart")
	byRule.Labels = map[string]string{mcsapi.LabelByRule: "true"}
	c1 := Cluster{Member: &members.Cluster{ID: "c1"}, Exports: []mcs.ServiceExport{
		{ObjectMeta: annotated(byRule, mcsapi.AnnotationConsumers, "c2, c3")},
		{ObjectMeta: annotated(meta("shop", "lone"), mcsapi.AnnotationConsumers, "")},
		{ObjectMeta: annotated(meta("shop", "near"), mcsapi.AnnotationPrefer, "local,c1")},
	}}
	c2 := Cluster{Member: &members.Cluster{ID: "c2"}, Imports: []mcs.ServiceImport{
		{ObjectMeta: annotated(meta("shop", "cart"), mcsapi.AnnotationProviders, "c1"), Spec: mcs.ServiceImportSpec{Type: mcs.Headless}},
		{ObjectMeta: annotated(meta("shop", "near"), mcsapi.AnnotationPrefer, ""), Spec: mcs.ServiceImportSpec{Type: mcs.Headless}},
	}}
	var out bytes.Buffer
	PrintServices(screen.New(&out, &out, screen.Text), Services([]Cluster{c1, c2}))
	const want = `NAMESPACE   NAME   TYPE       IPS   EXPORTED BY   CONFLICTS   NOTES   CHOICE
shop        cart   Headless   -     c1            -           -       c1 by rule, c1 for c2,c3, c2 from c1
shop        lone   -          -     c1            -           -       c1 for nobody
shop        near   Headless   -     c1            -           -       c1 asks to prefer local,c1, c2 prefers none
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
