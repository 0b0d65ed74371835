package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"
)

// namespace holds everything that is measured, loopNamespace what the bare loop makes.
const (
	namespace     = "bench"
	loopNamespace = "loop"
)

// patience is how long the controller may take to stop.
const patience = 10 * time.Second

// agent begins the user agent of the controller's requests.
const agent = "mcs-controller"

// bench is two clusters full of Services, of which provider exports some, and the controller's program.
type bench struct {
	size
	provider, consumer *member
	program            string
	controller         *programs.Process
}

type member struct {
	*controlplane.Cluster
	kube kubernetes.Interface
	mcs  rest.Interface
}

func setUp(ctx context.Context, s size) (*bench, error) {
	built, err := programs.Build(ctx, os.Stderr, "cmd/mcs-controller")
	if err != nil {
		return nil, err
	}
	pair, err := controlplane.StartAll(ctx,
		controlplane.Options{Name: "provider", AuditLog: true, ServiceCIDRs: []string{"10.96.0.0/16"}},
		controlplane.Options{Name: "consumer", AuditLog: true, ServiceCIDRs: []string{"10.97.0.0/16"}})
	if err != nil {
		return nil, err
	}
	b := &bench{size: s, program: built[0]}
	for i, c := range pair {
		m, err := connect(ctx, c)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			b.provider = m
		} else {
			b.consumer = m
		}
		fmt.Fprintf(os.Stderr, "filling cluster %s with %d Services\n", c.Name(), s.services)
		if err := m.fill(ctx, s, i == 0); err != nil {
			b.tearDown()
			return nil, fmt.Errorf("filling cluster %s: %w", c.Name(), err)
		}
	}
	return b, nil
}

func (b *bench) tearDown() {
	if b.controller != nil {
		b.controller.Stop(patience)
	}
	for _, m := range []*member{b.provider, b.consumer} {
		if m != nil {
			m.Stop()
		}
	}
}

func connect(ctx context.Context, c *controlplane.Cluster) (*member, error) {
	if err := c.InstallCRDs(ctx); err != nil {
		return nil, err
	}
	cfg := c.Config()
	cfg.QPS, cfg.UserAgent = -1, "bench"
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	client, err := mcsapi.NewClient(cfg, "v1beta1")
	return &member{Cluster: c, kube: kube, mcs: client}, err
}

// fill creates the Services with their slices, and the exports in the provider. A consumer's own Services are in another
// namespace, so that they are neither exported nor in the way.
func (m *member) fill(ctx context.Context, s size, provider bool) error {
	for _, ns := range []string{namespace, loopNamespace, "local"} {
		_, err := m.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	ns := "local"
	if provider {
		ns = namespace
	}
	return drive.Each(ctx, s.services, 16, func(ctx context.Context, n int) error {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name(n)},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}, Selector: map[string]string{"app": name(n)}},
		}
		if _, err := m.kube.CoreV1().Services(ns).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			return err
		}
		if _, err := m.kube.DiscoveryV1().EndpointSlices(ns).Create(ctx, slice(ns, n, s.endpoints), metav1.CreateOptions{}); err != nil {
			return err
		}
		if !provider || n >= s.exported {
			return nil
		}
		export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name(n)}}
		return m.mcs.Post().Namespace(ns).Resource(mcs.ServiceExportPluralName).Body(export).Do(ctx).Error()
	})
}

func name(n int) string { return fmt.Sprintf("service-%05d", n) }

func slice(ns string, n, endpoints int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name(n) + "-abcde", Labels: map[string]string{
			discoveryv1.LabelServiceName: name(n), discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for e := range endpoints {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 1+n/10000, n/40%250, n%40*6+e%6)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
			NodeName:   ptr.To(fmt.Sprintf("node-%d", e)), Zone: ptr.To("zone-1"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: ns, Name: fmt.Sprintf("%s-%d", name(n), e)},
		})
	}
	return s
}

// writes are the mutating requests of the controller, Leases and Events apart, of both clusters since the given numbers.
func (b *bench) writes(since ...int) (list []controlplane.AuditedRequest, counts []int, err error) {
	for i, m := range []*member{b.provider, b.consumer} {
		requests, err := m.AuditedRequests()
		if err != nil {
			return nil, nil, err
		}
		var own []controlplane.AuditedRequest
		for _, r := range requests {
			if isWrite(r) {
				own = append(own, r)
			}
		}
		counts = append(counts, len(own))
		if i < len(since) {
			own = own[since[i]:]
		}
		list = append(list, own...)
	}
	return list, counts, nil
}

// span is the time from the first to the last of the requests.
func span(requests []controlplane.AuditedRequest) time.Duration {
	if len(requests) == 0 {
		return 0
	}
	first, last := requests[0].Received, requests[0].Received
	for _, r := range requests {
		if r.Received.Before(first) {
			first = r.Received
		}
		if r.Received.After(last) {
			last = r.Received
		}
	}
	return last.Sub(first)
}
