package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

const (
	namespace        = "bench"
	zone             = "clusterset.local."
	writers          = 8
	clusterEndpoints = 5
	headlessClusters = 3
	headlessEach     = 100
)

// clusterset is the objects of a consumer on an API server, written as a controller would.
type clusterset struct {
	cluster *controlplane.Cluster
	kube    kubernetes.Interface
	mcs     rest.Interface
	options
}

func newClusterset(ctx context.Context, o options) (*clusterset, error) {
	c, err := controlplane.Start(ctx, controlplane.Options{Name: "bench"})
	if err != nil {
		return nil, err
	}
	s := &clusterset{cluster: c, options: o}
	if err := s.fill(ctx); err != nil {
		c.Stop()
		return nil, fmt.Errorf("writing the objects: %w", err)
	}
	return s, nil
}

func (s *clusterset) fill(ctx context.Context) (err error) {
	if err := s.cluster.InstallCRDs(ctx); err != nil {
		return err
	}
	cfg := s.cluster.Config()
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	if s.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	if s.mcs, err = mcsapi.NewClient(s.cluster.Config(), "v1beta1"); err != nil {
		return err
	}
	if _, err := s.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for i := range s.clusterSetIP {
		g.Go(func() error { return s.addClusterSetIP(ctx, i) })
	}
	for i := range s.headless {
		g.Go(func() error { return s.addHeadless(ctx, i) })
	}
	return g.Wait()
}

func (s *clusterset) addClusterSetIP(ctx context.Context, i int) error {
	name := webName(i)
	err := s.addImport(ctx, name, mcs.ServiceImportSpec{
		Type: mcs.ClusterSetIP, IPs: []string{clusterIP(i)},
		Ports: []mcs.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
	})
	for c := 0; c < 2 && err == nil; c++ {
		_, err = s.kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice(name, c, clusterEndpoints, i*clusterEndpoints, "http"), metav1.CreateOptions{})
	}
	return err
}

func (s *clusterset) addHeadless(ctx context.Context, i int) error {
	name := dbName(i)
	err := s.addImport(ctx, name, mcs.ServiceImportSpec{
		Type:  mcs.Headless,
		Ports: []mcs.ServicePort{{Name: "http", Port: 80}, {Name: "grpc", Port: 81}, {Name: "metrics", Port: 82}},
	})
	for c := 0; c < headlessClusters && err == nil; c++ {
		_, err = s.kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice(name, c+2, headlessEach, i*headlessEach, "http", "grpc", "metrics"), metav1.CreateOptions{})
	}
	return err
}

func (s *clusterset) addImport(ctx context.Context, name string, spec mcs.ServiceImportSpec) error {
	return s.mcs.Post().Namespace(namespace).Resource("serviceimports").
		Body(&mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: spec}).Do(ctx).Error()
}

// slice is an imported EndpointSlice of one cluster, whose endpoints begin with the one of number first.
func slice(service string, cluster, endpoints, first int, ports ...string) *discoveryv1.EndpointSlice {
	es := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: sliceName(service, cluster), Namespace: namespace,
			Labels: map[string]string{
				mcsapi.LabelServiceName:        service,
				mcsapi.LabelSourceCluster:      clusterName(cluster),
				discoveryv1.LabelServiceName:   mcsapi.DerivedPrefix + service,
				discoveryv1.LabelManagedBy:     mcsapi.ManagedBy,
				mcsapi.LabelClusterSet:         "default",
				"service.kubernetes.io/of-use": "bench",
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, port := range ports {
		number, protocol := int32(8080+i), corev1.ProtocolTCP
		es.Ports = append(es.Ports, discoveryv1.EndpointPort{Name: &port, Port: &number, Protocol: &protocol})
	}
	yes := true
	for i := range endpoints {
		n := first + i
		es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address(cluster, n)},
			Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes},
		})
	}
	return es
}

func webName(i int) string     { return fmt.Sprintf("web-%05d", i) }
func dbName(i int) string      { return fmt.Sprintf("db-%03d", i) }
func clusterName(c int) string { return fmt.Sprintf("cluster-%d", c) }
func sliceName(s string, c int) string {
	return fmt.Sprintf("%s%s-%08x", mcsapi.DerivedPrefix, s, 7919*(c+1))
}
func clusterIP(i int) string { return fmt.Sprintf("10.200.%d.%d", i/250, i%250+1) }
func address(cluster, n int) string {
	return fmt.Sprintf("10.%d.%d.%d", 2*cluster+n/62500, n/250%250, n%250+1)
}
func fqdn(labels, service string) string { return labels + service + "." + namespace + ".svc." + zone }

// anyWeb and anyDB are services to ask for.
func (s *clusterset) anyWeb() int { return rand.IntN(s.clusterSetIP) }
func (s *clusterset) anyDB() int  { return rand.IntN(s.headless) }
