package provider

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// kinds are the resources, by the last part of their path.
var kinds = map[string]kind{
	"serviceexports": {
		TypeMeta: metav1.TypeMeta{APIVersion: mcs.GroupVersion.String(), Kind: "ServiceExport"}, prefix: group,
		list:   func() listObject { return &mcs.ServiceExportList{} },
		names:  func(c *Cluster) []string { return slices.Sorted(maps.Keys(c.exports)) },
		object: (*Cluster).export,
	},
	"services": {
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, prefix: "/api/v1", protobuf: true,
		list:   func() listObject { return &corev1.ServiceList{} },
		names:  func(c *Cluster) []string { return c.services },
		object: (*Cluster).service,
	},
	"endpointslices": {
		TypeMeta: metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"}, prefix: "/apis/discovery.k8s.io/v1", protobuf: true,
		list:   func() listObject { return &discoveryv1.EndpointSliceList{} },
		names:  func(c *Cluster) []string { return c.services },
		object: (*Cluster).slice,
	},
}

// last returns what the last change left of the objects of a kind and name. c.mu is held.
func (c *Cluster) last(kind, name string) change {
	switch {
	case kind == "ServiceExport":
		return c.exports[name]
	case kind == "EndpointSlice" && c.changed[name].version > 0:
		return c.changed[name]
	}
	return change{version: first}
}

func (c *Cluster) meta(kind, name string, version int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: Namespace, Name: name, UID: types.UID(c.ID + "-" + kind + "-" + name), Generation: 1,
		ResourceVersion: fmt.Sprint(version), CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+int64(c.Number), 0)),
	}
}

func (c *Cluster) export(t metav1.TypeMeta, name string, at change) object {
	e := &mcs.ServiceExport{TypeMeta: t, ObjectMeta: c.meta("export", name, at.version)}
	if at.created != 0 {
		e.CreationTimestamp = metav1.NewTime(time.Unix(at.created, 0))
	}
	return e
}

func (c *Cluster) service(t metav1.TypeMeta, name string, at change) object {
	n := c.at[name]
	ip := fmt.Sprintf("10.%d.%d.%d", 20+c.Number, n/250, n%250+1)
	s := &corev1.Service{
		TypeMeta: t, ObjectMeta: c.meta("service", name, at.version),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack),
			Selector: map[string]string{"app": name}, SessionAffinity: corev1.ServiceAffinityNone,
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			Ports:                 []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	s.Labels = map[string]string{"app": name, "team": "bench"}
	return s
}

func (c *Cluster) slice(t metav1.TypeMeta, name string, at change) object {
	s := &discoveryv1.EndpointSlice{
		TypeMeta: t, ObjectMeta: c.meta("slice", name+"-x7k2p", at.version),
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"}
	addresses := []string{at.address}
	if at.address == "" {
		addresses = c.addresses(c.at[name])
	}
	for e, address := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			NodeName:   ptr.To(fmt.Sprintf("node-%d", e)), Zone: ptr.To("zone-1"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: Namespace, Name: fmt.Sprintf("%s-%d", name, e), UID: types.UID(fmt.Sprintf("%s-%s-%d", c.ID, name, e))},
		})
	}
	return s
}

// addresses are those of the nth Service's endpoints before any change.
func (c *Cluster) addresses(n int) (list []string) {
	for e := range c.Endpoints {
		list = append(list, fmt.Sprintf("100.%d.%d.%d", 64+c.Number%64, n/32+c.Number/64*64, n%32*8+e%8))
	}
	return list
}
