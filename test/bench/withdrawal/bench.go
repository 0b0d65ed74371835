package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/link"
	"github.com/clusterset/multicluster/test/programs"
)

const (
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
	consumer   *controlplane.Cluster
	kube       kubernetes.Interface
	mcs        rest.Interface
	servers    []*provider.Server
	link       *link.Link
	controller *programs.Process
}

func setUp(ctx context.Context, s size) (b *bench, err error) {
	b = &bench{size: s}
	defer func() {
		if err != nil {
			b.tearDown()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "bench-withdrawal-"); err != nil {
		return b, err
	}
	if err := b.startConsumer(ctx); err != nil {
		return b, err
	}
	return b, b.startController(ctx)
}

func (b *bench) startConsumer(ctx context.Context) (err error) {
	if b.consumer, err = controlplane.Start(ctx, controlplane.Options{Name: "c", ServiceCIDRs: []string{"10.96.0.0/16"}}); err != nil {
		return err
	}
	if err := b.consumer.InstallCRDs(ctx); err != nil {
		return err
	}
	cfg := b.consumer.Config()
	cfg.QPS, cfg.UserAgent = -1, "bench"
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

// startController runs the controller's program in the member role, so that it writes to the consumer only.
func (b *bench) startController(ctx context.Context) error {
	built, err := programs.Build(ctx, os.Stderr, "cmd/mcs-controller")
	if err != nil {
		return err
	}
	args := []string{"--self", "c", "--kubeconfig", b.consumer.Kubeconfig(), "--grace-period", b.grace.String(), "--stable-period", stable.String(),
		"--workers", strconv.Itoa(b.workers)}
	names := make([]string, b.services)
	for n := range names {
		names[n] = provider.Name(n)
	}
	for n, id := range []string{vanishing, staying} {
		server := provider.Serve(provider.New(id, n, names, 0, b.endpoints))
		b.servers = append(b.servers, server)
		url := server.URL()
		if id == vanishing {
			if b.link, err = link.New(url); err != nil {
				return err
			}
			url = b.link.URL()
		}
		path := filepath.Join(b.dir, id+".kubeconfig")
		if err := os.WriteFile(path, provider.Kubeconfig(url, id), 0o600); err != nil {
			return err
		}
		args = append(args, "--cluster", fmt.Sprintf("%s=%s", id, path))
	}
	b.controller, err = programs.Start(built[0], args...)
	return err
}

func (b *bench) tearDown() {
	if b.controller != nil {
		b.controller.Stop(patience)
	}
	if b.link != nil {
		b.link.Close()
	}
	for _, s := range b.servers {
		s.Close()
	}
	if b.consumer != nil {
		b.consumer.Stop()
	}
	os.RemoveAll(b.dir)
}
