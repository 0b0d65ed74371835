package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/link"
	"github.com/clusterset/multicluster/test/programs"
)

const (
	namespace = "bench"
	// vanishing is the provider whose packets vanish; the other one stays.
	vanishing = "a"
	staying   = "b"
	stable    = 5 * time.Second
	// patience is how long the controller may take to stop.
	patience = 10 * time.Second
)

// bench is two providers, one of them behind a link, and a consumer with its controller.
type bench struct {
	size
	dir        string
	clusters   []*controlplane.Cluster
	members    map[string]*member
	link       *link.Link
	controller *programs.Process
}

type member struct {
	*controlplane.Cluster
	kube kubernetes.Interface
	mcs  rest.Interface
}

func setUp(ctx context.Context, s size) (b *bench, err error) {
	b = &bench{size: s, members: map[string]*member{}}
	defer func() {
		if err != nil {
			b.tearDown()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "bench-withdrawal-"); err != nil {
		return b, err
	}
	b.clusters, err = controlplane.StartAll(ctx,
		controlplane.Options{Name: vanishing, ServiceCIDRs: []string{"10.96.0.0/16"}},
		controlplane.Options{Name: staying, ServiceCIDRs: []string{"10.97.0.0/16"}},
		controlplane.Options{Name: "c", ServiceCIDRs: []string{"10.98.0.0/16"}})
	if err != nil {
		return b, err
	}
	for n, c := range b.clusters {
		m, err := connect(ctx, c)
		if err != nil {
			return b, err
		}
		b.members[c.Name()] = m
		if c.Name() != "c" {
			fmt.Fprintf(os.Stderr, "filling cluster %s with %d exported Services\n", c.Name(), s.services)
			err = m.fill(ctx, n, s)
		}
		if err != nil {
			return b, fmt.Errorf("filling cluster %s: %w", c.Name(), err)
		}
	}
	return b, b.startController(ctx)
}

func (b *bench) tearDown() {
	if b.controller != nil {
		b.controller.Stop(patience)
	}
	if b.link != nil {
		b.link.Close()
	}
	for _, c := range b.clusters {
		c.Stop()
	}
	os.RemoveAll(b.dir)
}

func connect(ctx context.Context, c *controlplane.Cluster) (*member, error) {
	if err := c.InstallCRDs(ctx); err != nil {
		return nil, err
	}
	cfg := c.Config()
	cfg.QPS, cfg.UserAgent = -1, "bench"
	client, err := mcsapi.NewClient(cfg, "v1beta1")
	if err != nil {
		return nil, err
	}
	cfg.ContentType = runtime.ContentTypeProtobuf // what is measured shares the machine with this program
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	_, err = kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	return &member{Cluster: c, kube: kube, mcs: client}, err
}

// startController runs the controller's program in the member role, so that it writes to the consumer only.
func (b *bench) startController(ctx context.Context) error {
	built, err := programs.Build(ctx, os.Stderr, "cmd/mcs-controller")
	if err != nil {
		return err
	}
	behind, err := b.behindLink(b.members[vanishing])
	if err != nil {
		return err
	}
	b.controller, err = programs.Start(built[0], "--self", "c", "--kubeconfig", b.members["c"].Kubeconfig(),
		"--cluster", vanishing+"="+behind, "--cluster", staying+"="+b.members[staying].Kubeconfig(),
		"--grace-period", b.grace.String(), "--stable-period", stable.String(), "--workers", strconv.Itoa(b.workers))
	return err
}

// behindLink puts a link before a cluster's API server, and returns the kubeconfig that leads through it.
func (b *bench) behindLink(m *member) (path string, err error) {
	if b.link, err = link.New(m.URL()); err != nil {
		return "", err
	}
	content, err := m.KubeconfigContent(b.link.URL(), "bench", "system:masters")
	if err != nil {
		return "", err
	}
	path = filepath.Join(b.dir, "behind-link.kubeconfig")
	return path, os.WriteFile(path, content, 0o600)
}

func name(n int) string { return fmt.Sprintf("service-%05d", n) }

func (m *member) fill(ctx context.Context, cluster int, s size) error {
	return drive.Each(ctx, s.services, 16, func(ctx context.Context, n int) error {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name(n)},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}, Selector: map[string]string{"app": name(n)}},
		}
		if _, err := m.kube.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			return err
		}
		if err := m.createSlice(ctx, slice(cluster, n, s.endpoints)); err != nil {
			return err
		}
		export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Name: name(n)}}
		return m.mcs.Post().Namespace(namespace).Resource(mcs.ServiceExportPluralName).Body(export).Do(ctx).Error()
	})
}

func (m *member) createSlice(ctx context.Context, s *discoveryv1.EndpointSlice) error {
	_, err := m.kube.DiscoveryV1().EndpointSlices(namespace).Create(ctx, s, metav1.CreateOptions{})
	return err
}

func slice(cluster, n, endpoints int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name(n) + "-abcde", Labels: map[string]string{discoveryv1.LabelServiceName: name(n)}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for e := range endpoints {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.%d.%d.%d", 10+cluster, n/25, n%25*10+e%10)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return s
}
