// Package provider is an API server that serves what a provider cluster is read for, and nothing else: the lists and watches
// of ServiceExports, Services and EndpointSlices, discovery, and the namespace kube-system. Hundreds of them fit into one
// process, since what nobody changed is made while it is served.
package provider

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Namespace is where everything is.
const Namespace = "bench"

// Cluster is one provider. Its Services are Exported, by these names, and Others, which are not.
type Cluster struct {
	ID        string
	Number    int // below 200; begins the addresses
	Exported  []string
	Others    int
	Endpoints int // per Service

	down     atomic.Bool
	watches  atomic.Int64
	requests atomic.Int64

	mu      sync.Mutex
	version int               // the resource version of the last change
	changed map[string]change // by Service, the last change of its slice
	log     []string          // the Services whose slices changed, from version first on
	waiting chan struct{}     // closed at the next change
}

type change struct {
	version int
	address string
}

const first = 1000 // the resource version of what never changed

// New returns a cluster that nobody changed.
func New(id string, number int, exported []string, others, endpoints int) *Cluster {
	return &Cluster{
		ID: id, Number: number, Exported: exported, Others: others, Endpoints: endpoints,
		version: first, changed: map[string]change{}, waiting: make(chan struct{}),
	}
}

// Watches is the number of watches that are open; Requests that of requests served so far.
func (c *Cluster) Watches() int64  { return c.watches.Load() }
func (c *Cluster) Requests() int64 { return c.requests.Load() }

// SetDown makes every request fail and ends all watches, or lets them through again.
func (c *Cluster) SetDown(down bool) {
	c.down.Store(down)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// Change gives the slice of an exported Service one endpoint, with the address.
func (c *Cluster) Change(service, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.changed[service] = change{c.version, address}
	c.log = append(c.log, service)
	c.wake()
}

// wake tells the watches that something happened. c.mu is held.
func (c *Cluster) wake() {
	close(c.waiting)
	c.waiting = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	if c.down.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	const group = "/apis/multicluster.x-k8s.io/v1beta1"
	switch path := strings.TrimSuffix(r.URL.Path, "/"); path {
	case group:
		answer(w, discovered)
	case "/api/v1/namespaces/kube-system":
		answer(w, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: types.UID("uid-" + c.ID)},
		})
	case group + "/serviceexports":
		c.serve(w, r, kind{"multicluster.x-k8s.io/v1beta1", "ServiceExport", len(c.Exported), c.export})
	case "/api/v1/services":
		c.serve(w, r, kind{"v1", "Service", len(c.Exported) + c.Others, c.service})
	case "/apis/discovery.k8s.io/v1/endpointslices":
		c.serve(w, r, kind{"discovery.k8s.io/v1", "EndpointSlice", len(c.Exported) + c.Others, c.slice})
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"no %s here"}`, path)
	}
}

var discovered = &metav1.APIResourceList{
	TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
	GroupVersion: "multicluster.x-k8s.io/v1beta1",
	APIResources: []metav1.APIResource{{
		Name: mcs.ServiceExportPluralName, Kind: "ServiceExport", Namespaced: true, Verbs: metav1.Verbs{"create", "get", "list", "watch"},
	}},
}

// name returns that of the nth Service, the exported ones first.
func (c *Cluster) name(n int) string {
	if n < len(c.Exported) {
		return c.Exported[n]
	}
	return fmt.Sprintf("other-%05d", n-len(c.Exported))
}

func (c *Cluster) meta(kind, name string, version int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: Namespace, Name: name, UID: types.UID(c.ID + "-" + kind + "-" + name), Generation: 1,
		ResourceVersion: fmt.Sprint(version), CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+int64(c.Number), 0)),
	}
}

func (c *Cluster) export(n int) runtime.Object {
	return &mcs.ServiceExport{
		TypeMeta:   metav1.TypeMeta{APIVersion: "multicluster.x-k8s.io/v1beta1", Kind: "ServiceExport"},
		ObjectMeta: c.meta("export", c.name(n), first),
	}
}

func (c *Cluster) service(n int) runtime.Object {
	ip := fmt.Sprintf("10.%d.%d.%d", 20+c.Number, n/250, n%250+1)
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: c.meta("service", c.name(n), first),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack),
			Selector: map[string]string{"app": c.name(n)}, SessionAffinity: corev1.ServiceAffinityNone,
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyCluster),
			Ports:                 []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	s.Labels = map[string]string{"app": c.name(n), "team": "bench"}
	return s
}

func (c *Cluster) slice(n int) runtime.Object {
	name := c.name(n)
	c.mu.Lock()
	last, ok := c.changed[name]
	c.mu.Unlock()
	if !ok {
		last.version = first
	}
	s := &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta:  c.meta("slice", name+"-x7k2p", last.version),
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"}
	for e := range c.Endpoints {
		address := fmt.Sprintf("100.%d.%d.%d", 64+c.Number%64, n/32+c.Number/64*64, n%32*8+e%8)
		if ok {
			address = last.address
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			NodeName:   ptr.To(fmt.Sprintf("node-%d", e)), Zone: ptr.To("zone-1"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: Namespace, Name: fmt.Sprintf("%s-%d", name, e), UID: types.UID(fmt.Sprintf("%s-%s-%d", c.ID, name, e))},
		})
		if ok {
			break
		}
	}
	return s
}
