package keep_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// many returns n keys with values of a length.
func many(n, length int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprintf("k%d", i)] = strings.Repeat("v", length)
	}
	return m
}

// largest is a ServiceImport with as much of everything as an honest cluster may have.
func largest() *mcs.ServiceImport {
	i := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u", ResourceVersion: "7", Generation: 3}}
	i.Labels, i.Annotations = many(500, 63), many(8, 32<<10)
	for n := range 1000 {
		i.Spec.Ports = append(i.Spec.Ports, mcs.ServicePort{
			Name: strings.Repeat("n", 63), Protocol: "TCP", AppProtocol: ptr.To(strings.Repeat("a", 63)), Port: int32(n),
		})
	}
	for n := range 200 {
		i.Status.Clusters = append(i.Status.Clusters, mcs.ClusterStatus{Cluster: fmt.Sprintf("%063d", n)})
	}
	for n := range 7 {
		i.Status.Conditions = append(i.Status.Conditions, metav1.Condition{Type: fmt.Sprint(n), Message: strings.Repeat("m", 32<<10)})
	}
	return i
}

// TestImport_X6: of a ServiceImport all stays that is read, up to a bound that no honest one passes; of a larger one, only that it is
// there, and why the rest is not.
func TestImport_X6(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*mcs.ServiceImport)
		refused bool
	}{
		"the largest": {func(*mcs.ServiceImport) {}, false},
		"labels":      {func(i *mcs.ServiceImport) { i.Labels = many(10_000, 63) }, true},
		"annotations": {func(i *mcs.ServiceImport) { i.Annotations = many(40, 32<<10) }, true},
		"ports":       {func(i *mcs.ServiceImport) { i.Spec.Ports = make([]mcs.ServicePort, 10_000) }, true},
		"addresses":   {func(i *mcs.ServiceImport) { i.Spec.IPs = make([]string, 100_000) }, true},
		"families":    {func(i *mcs.ServiceImport) { i.Spec.IPFamilies = make([]corev1.IPFamily, 100_000) }, true},
		"an affinity": {func(i *mcs.ServiceImport) {
			i.Spec.SessionAffinity = corev1.ServiceAffinity(strings.Repeat("x", 1<<20))
		}, true},
		"clusters":   {func(i *mcs.ServiceImport) { i.Status.Clusters = make([]mcs.ClusterStatus, 100_000) }, true},
		"conditions": {func(i *mcs.ServiceImport) { i.Status.Conditions = make([]metav1.Condition, 10_000) }, true},
		"a presence": {func(i *mcs.ServiceImport) {
			i.Status.EndpointSliceObjects = mcs.EndpointSliceObjectsStatus(strings.Repeat("x", 1<<20))
		}, true},
		"what is not read": {func(i *mcs.ServiceImport) {
			i.ManagedFields, i.Finalizers = make([]metav1.ManagedFieldsEntry, 10_000), slices.Repeat([]string{"f"}, 100_000)
		}, false},
		"owners":               {func(i *mcs.ServiceImport) { i.OwnerReferences = make([]metav1.OwnerReference, 100_000) }, false},
		"a mark of the keeper": {func(i *mcs.ServiceImport) { i.Annotations["kept:refused"] = "no" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			i := largest()
			want := maps.Clone(i.Annotations)
			tc.change(i)
			kept := keep.Import(i)
			if why := keep.Refused(kept); (why != "") != tc.refused {
				t.Fatalf("refused: %q", why)
			}
			if kept.UID != "u" || kept.ResourceVersion != "7" || kept.Generation != 3 || kept.Name != "web" {
				t.Errorf("kept is %v", kept.ObjectMeta)
			}
			if weight := keep.WeighImport(kept); weight > keep.MaxImport || tc.refused && weight > 1<<10 {
				t.Errorf("%d bytes are kept", weight)
			}
			if !tc.refused && (!reflect.DeepEqual(kept.Spec, i.Spec) || !reflect.DeepEqual(kept.Status, i.Status) || !maps.Equal(kept.Annotations, want) || !maps.Equal(kept.Labels, i.Labels)) {
				t.Error("something that is read is not kept")
			}
			if len(kept.ManagedFields)+len(kept.Finalizers)+len(kept.OwnerReferences) > 0 {
				t.Error("what nobody reads is kept")
			}
		})
	}
}

// TestImportedSlice_X6: an imported slice is kept whole, since it is compared and written so, up to a bound that none of ours passes.
func TestImportedSlice_X6(t *testing.T) {
	whole := func() *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1", UID: "u", ResourceVersion: "7", Labels: map[string]string{
			mcsapi.LabelServiceName: "web", mcsapi.LabelSourceCluster: "east", mcsapi.LabelClusterSet: "demo", "others": "stay",
			discoveryv1.LabelServiceName: "amcs-web", discoveryv1.LabelManagedBy: mcsapi.ManagedBy,
		}, Finalizers: []string{"others.example/f"}}, AddressType: discoveryv1.AddressTypeIPv6}
		for n := range 1000 { // 1 MiB as protocol buffers
			e := discoveryv1.Endpoint{Hostname: ptr.To(strings.Repeat("h", 63)), Zone: ptr.To(strings.Repeat("z", 63)), NodeName: ptr.To(strings.Repeat("n", 63))}
			for a := range 40 {
				e.Addresses = append(e.Addresses, fmt.Sprintf("fd00:%04x:1000:1000::%04x", n, a))
			}
			s.Endpoints = append(s.Endpoints, e)
		}
		return s
	}
	for name, tc := range map[string]struct {
		change  func(*discoveryv1.EndpointSlice)
		refused bool
	}{
		"the largest": {func(*discoveryv1.EndpointSlice) {}, false},
		"endpoints":   {func(s *discoveryv1.EndpointSlice) { s.Endpoints = make([]discoveryv1.Endpoint, 100_000) }, true},
		"addresses":   {func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = make([]string, 1_000_000) }, true},
		"topology":    {func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].DeprecatedTopology = many(100, 64<<10) }, true},
		"hints": {func(s *discoveryv1.EndpointSlice) {
			s.Endpoints[0].Hints = &discoveryv1.EndpointHints{ForZones: make([]discoveryv1.ForZone, 300_000), ForNodes: make([]discoveryv1.ForNode, 10)}
		}, true},
		"references": {func(s *discoveryv1.EndpointSlice) {
			s.Endpoints[0].TargetRef = &corev1.ObjectReference{FieldPath: strings.Repeat("x", 4<<20)}
		}, true},
		"ports":      {func(s *discoveryv1.EndpointSlice) { s.Ports = make([]discoveryv1.EndpointPort, 100_000) }, true},
		"labels":     {func(s *discoveryv1.EndpointSlice) { maps.Copy(s.Labels, many(50_000, 63)) }, true},
		"finalizers": {func(s *discoveryv1.EndpointSlice) { s.Finalizers = make([]string, 300_000) }, true},
		"owners":     {func(s *discoveryv1.EndpointSlice) { s.OwnerReferences = make([]metav1.OwnerReference, 40_000) }, true},
		"an address type": {func(s *discoveryv1.EndpointSlice) {
			s.AddressType = discoveryv1.AddressType(strings.Repeat("x", 2<<20))
		}, true},
		"another address type": {func(s *discoveryv1.EndpointSlice) { s.AddressType = "IPv5" }, true},
		"names":                {func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeFQDN }, false},
		"managed":              {func(s *discoveryv1.EndpointSlice) { s.ManagedFields = make([]metav1.ManagedFieldsEntry, 100_000) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole()
			tc.change(s)
			kept := keep.ImportedSlice(s)
			if why := keep.Refused(kept); (why != "") != tc.refused {
				t.Fatalf("refused: %q", why)
			}
			if !tc.refused {
				s.ManagedFields = nil
				if !reflect.DeepEqual(kept, s) {
					t.Error("something is not kept")
				}
				return
			}
			for _, label := range []string{mcsapi.LabelServiceName, mcsapi.LabelSourceCluster, mcsapi.LabelClusterSet, discoveryv1.LabelServiceName, discoveryv1.LabelManagedBy} {
				if kept.Labels[label] == "" {
					t.Errorf("label %s is not kept", label)
				}
			}
			if weight := keep.WeighImported(kept); weight > 2<<10 || len(kept.AddressType) > len("IPv6") {
				t.Errorf("%d bytes are kept, and an address type of %d", weight, len(kept.AddressType))
			}
		})
	}
}

// TestNodeAndNamespace_X6: of a node its addresses are kept, as many as a node may have, and of a namespace whether it stays.
func TestNodeAndNamespace_X6(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", Labels: many(1000, 63), Annotations: many(10, 64<<10)}}
	add := func(kind corev1.NodeAddressType, address string) {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: kind, Address: address})
	}
	add(corev1.NodeHostName, "10.0.9.9")
	add(corev1.NodeInternalIP, strings.Repeat("x", 1<<20))
	for n := range keep.MaxNodeAddresses {
		add(corev1.NodeInternalIP, fmt.Sprintf("10.0.0.%d", n))
	}
	kept := keep.Node(node)
	if len(kept.Status.Addresses) != keep.MaxNodeAddresses || keep.Refused(kept) != "" || kept.Status.Addresses[0].Address != "10.0.0.0" {
		t.Errorf("%d addresses, refused %q", len(kept.Status.Addresses), keep.Refused(kept))
	}
	add(corev1.NodeExternalIP, "fd00::1")
	node.Status.Addresses[2].Address = "fe80::1%" + strings.Repeat("z", 4<<20)
	if got := keep.Node(node).Status.Addresses[0].Address; got != "fe80::1" {
		t.Errorf("of an address with a zone, %d bytes are kept", len(got))
	}
	if kept = keep.Node(node); len(kept.Status.Addresses) != keep.MaxNodeAddresses || keep.Refused(kept) == "" || keep.WeighNode(kept) > 10<<10 {
		t.Errorf("%d addresses, refused %q, %d bytes", len(kept.Status.Addresses), keep.Refused(kept), keep.WeighNode(kept))
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: many(1000, 63)}, Status: corev1.NamespaceStatus{Phase: "Active", Conditions: make([]corev1.NamespaceCondition, 1000)}}
	if kept := keep.Namespace(ns); kept.Name != "shop" || kept.Status.Phase == corev1.NamespaceTerminating || keep.WeighNamespace(kept) > 1<<10 {
		t.Errorf("kept is %v", kept)
	}
	ns.Status.Phase, ns.DeletionTimestamp = corev1.NamespaceTerminating, &metav1.Time{}
	if kept := keep.Namespace(ns); kept.Status.Phase != corev1.NamespaceTerminating || kept.DeletionTimestamp == nil || len(kept.Status.Conditions) > 0 {
		t.Errorf("kept is %v", kept)
	}
}

// TestWeights_X6: what objects are counted for is not less than half of what they take in memory, whatever they are made of.
func TestWeights_X6(t *testing.T) {
	repeat := func(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part+",", n), ",") }
	keys := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return strings.Join(list, ",")
	}
	imports := func(text string) (any, int) {
		i := &mcs.ServiceImport{}
		check(t, json.Unmarshal([]byte(text), i))
		kept := keep.Import(i)
		return kept, keep.WeighImport(kept)
	}
	imported := func(text string) (any, int) {
		s := &discoveryv1.EndpointSlice{}
		check(t, json.Unmarshal([]byte(text), s))
		kept := keep.ImportedSlice(s)
		return kept, keep.WeighImported(kept)
	}
	services := func(text string) (any, int) {
		s := &corev1.Service{}
		check(t, json.Unmarshal([]byte(text), s))
		kept := keep.WholeService(s)
		return kept, keep.WeighService(kept)
	}
	nodes := func(text string) (any, int) {
		n := &corev1.Node{}
		check(t, json.Unmarshal([]byte(text), n))
		kept := keep.Node(n)
		return kept, keep.WeighNode(kept)
	}
	namespaces := func(text string) (any, int) {
		n := &corev1.Namespace{}
		check(t, json.Unmarshal([]byte(text), n))
		kept := keep.Namespace(n)
		return kept, keep.WeighNamespace(kept)
	}
	for name, tc := range map[string]struct {
		kept func(string) (any, int)
		text string
	}{
		"an import":               {imports, `{}`},
		"labels of an import":     {imports, `{"metadata":{"labels":{` + keys(1000) + `}}}`},
		"ports of an import":      {imports, `{"spec":{"ports":[` + repeat(`{"appProtocol":"a"}`, 1000) + `]}}`},
		"addresses of an import":  {imports, `{"spec":{"ips":[` + repeat(`""`, 1000) + `]}}`},
		"clusters of an import":   {imports, `{"status":{"clusters":[` + repeat(`{}`, 1000) + `]}}`},
		"conditions of an import": {imports, `{"status":{"conditions":[` + repeat(`{}`, 1000) + `]}}`},
		"a slice":                 {imported, `{}`},
		"endpoints":               {imported, `{"endpoints":[` + repeat(`{"hostname":"h","zone":"z","nodeName":"n"}`, 1000) + `]}`},
		"conditions":              {imported, `{"endpoints":[` + repeat(`{"conditions":{"ready":true,"serving":true,"terminating":true}}`, 1000) + `]}`},
		"hints":                   {imported, `{"endpoints":[` + repeat(`{"hints":{"forZones":[{}],"forNodes":[{}]},"targetRef":{}}`, 1000) + `]}`},
		"topology":                {imported, `{"endpoints":[` + repeat(`{"deprecatedTopology":{"a":"b"}}`, 1000) + `]}`},
		"ports":                   {imported, `{"ports":[` + repeat(`{"port":1,"name":"","protocol":"","appProtocol":""}`, 1000) + `]}`},
		"owners":                  {imported, `{"metadata":{"ownerReferences":[` + repeat(`{"controller":true,"blockOwnerDeletion":true}`, 1000) + `]}}`},
		"a Service":               {services, `{}`},
		"a derived Service":       {services, `{"metadata":{"labels":{"` + mcsapi.LabelClusterSet + `":"x"}},"spec":{"ports":[` + repeat(`{"appProtocol":"a"}`, 1000) + `],"externalIPs":[` + repeat(`""`, 1000) + `]}}`},
		"a node":                  {nodes, `{"status":{"addresses":[` + repeat(`{"type":"InternalIP","address":"::"}`, 64) + `]}}`},
		"a namespace":             {namespaces, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			const copies = 200 // so that what else goes on in the process counts for little
			list, counted := make([]any, copies), 0
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range list {
				list[i], counted = tc.kept(tc.text)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			takes := (int(after.HeapAlloc) - int(before.HeapAlloc)) / copies
			runtime.KeepAlive(list)
			if takes > 2*counted {
				t.Errorf("it takes %d bytes and counts for %d", takes, counted)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
