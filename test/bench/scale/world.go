package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"
)

// bench is one consumer, and the providers behind one server of this process.
type bench struct {
	size
	consumer    *controlplane.Cluster
	kube        kubernetes.Interface
	mcs         rest.Interface
	clusters    []*provider.Cluster
	exportersOf map[string][]*provider.Cluster // a name
	server      *provider.Server
	dir         string
	program     string
	controller  *programs.Process
	dnsProgram  string
	dnsAddress  string
	dns         *programs.Process
}

// setUp starts all but the controller; its program and that of CoreDNS are given.
func setUp(ctx context.Context, s size, controller, coredns string) (b *bench, err error) {
	b = &bench{size: s, exportersOf: map[string][]*provider.Cluster{}, program: controller, dnsProgram: coredns}
	defer func() {
		if err != nil {
			b.tearDown()
		}
	}()
	if err := b.startConsumer(ctx); err != nil {
		return b, err
	}
	if err := b.startProviders(); err != nil {
		return b, err
	}
	return b, b.startDNS()
}

func (b *bench) startConsumer(ctx context.Context) (err error) {
	b.consumer, err = controlplane.Start(ctx, controlplane.Options{Name: "consumer", AuditLog: true, ServiceCIDRs: []string{"10.96.0.0/12"}})
	if err != nil {
		return err
	}
	if err := b.consumer.InstallCRDs(ctx); err != nil {
		return err
	}
	cfg := b.consumer.Config()
	cfg.QPS = -1
	if b.mcs, err = mcsapi.NewClient(cfg, "v1beta1"); err != nil {
		return err
	}
	cfg.ContentType = runtime.ContentTypeProtobuf // what is measured shares the machine with this program
	if b.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: provider.Namespace}}
	_, err = b.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	return err
}

// startProviders serves all of them.
func (b *bench) startProviders() error {
	exported := make([][]string, b.providers)
	for n := range b.exports {
		for e := range b.exporters {
			at := (n + e*b.providers/b.exporters) % b.providers
			exported[at] = append(exported[at], provider.Name(n))
		}
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "scale-"); err != nil {
		return err
	}
	if err := os.Mkdir(b.members(), 0o700); err != nil {
		return err
	}
	for i, names := range exported {
		c := provider.New(fmt.Sprintf("c%03d", i), i, names, max(0, b.services-len(names)), b.endpoints)
		b.clusters = append(b.clusters, c)
		for _, name := range names {
			b.exportersOf[name] = append(b.exportersOf[name], c)
		}
	}
	b.server = provider.Serve(b.clusters...)
	for _, c := range b.clusters {
		if err := os.WriteFile(filepath.Join(b.members(), c.ID+".kubeconfig"), provider.Kubeconfig(b.server.URL(), c.ID), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// members is the directory that has a kubeconfig per provider.
func (b *bench) members() string { return filepath.Join(b.dir, "members") }

func (b *bench) tearDown() {
	if b.controller != nil {
		b.controller.Kill()
	}
	if b.dns != nil {
		b.dns.Kill()
	}
	if b.server != nil {
		b.server.Close()
	}
	if b.consumer != nil {
		b.consumer.Stop()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// start runs the controller as the consumer's own.
func (b *bench) start() (err error) {
	b.controller, err = programs.Start(b.program, "--self", "consumer", "--kubeconfig", b.consumer.Kubeconfig(), "--clusters-dir", b.members(),
		"--grace-period", b.grace.String(), "--stable-period", b.grace.String())
	return err
}

func (b *bench) watches() (n int64) {
	for _, c := range b.clusters {
		n += c.Watches()
	}
	return n
}

// asked is the number of requests that providers have answered.
func (b *bench) asked() (n int64) {
	for _, c := range b.clusters {
		n += c.Requests()
	}
	return n
}

// requests are the mutating requests of the controller to the consumer so far, Leases and Events apart.
func (b *bench) requests() ([]controlplane.AuditedRequest, error) {
	all, err := b.consumer.AuditedRequests()
	return slices.DeleteFunc(all, func(r controlplane.AuditedRequest) bool {
		return !strings.HasPrefix(r.UserAgent, "mcs-controller") || strings.HasPrefix(r.Resource, "events")
	}), err
}
