package fleet

import (
	"net/url"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"
)

// source is a provider that a test changes: a kube-apiserver, or the simulation of one that `make scale` is measured with.
type source struct {
	config   *rest.Config
	export   func(service string)
	unexport func(service string)
	change   func(service, address string)
	restart  func() // and forget all history, so that watches from before can't be resumed
}

// The Services of a source: one that is exported at first, and others.
const exportedFirst = "first"

// realSource is a kube-apiserver with those objects that a simulated provider has.
func realSource(t *testing.T) source {
	c := start(t, controlplane.Options{Name: "p"})[0]
	const ns = provider.Namespace
	namespace(t, ns, c)
	slices := map[string]*discoveryv1.EndpointSlice{}
	for _, name := range []string{exportedFirst, provider.Other(0), provider.Other(1)} {
		c.service(t, ns, name)
		slices[name] = c.slice(t, ns, name, "x7k2p", []string{"10.1.0.1"})
	}
	c.export(t, ns, exportedFirst)
	return source{
		config:   c.Config(),
		export:   func(service string) { c.export(t, ns, service) },
		unexport: func(service string) { c.unexport(t, ns, service) },
		change: func(service, address string) {
			s := slices[service].DeepCopy()
			s.ResourceVersion, s.Endpoints = "", s.Endpoints[:1]
			s.Endpoints[0].Addresses = []string{address}
			_, err := c.kube.DiscoveryV1().EndpointSlices(ns).Update(t.Context(), s, metav1.UpdateOptions{})
			kit.Must(t, err)
		},
		restart: func() {
			kit.Must(t, c.KillAPIServer())
			kit.Must(t, c.StartAPIServer(t.Context()))
		},
	}
}

// simulatedSource is a simulated provider.
func simulatedSource(t *testing.T) source {
	c := provider.New("p", 1, []string{exportedFirst}, 2, 1)
	server := provider.Serve(c)
	t.Cleanup(server.Close)
	return source{
		config: &rest.Config{Host: server.URL() + "/" + c.ID, TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		export: c.Export, unexport: c.Unexport, change: c.Change,
		restart: func() {
			c.SetDown(true)
			c.Forget()
			c.SetDown(false)
		},
	}
}

// TestSimulatedProvider holds that a controller sees the same in a simulated provider as in a kube-apiserver, so that what
// `make scale` says of hundreds of the former is true of the latter; and, of both, that an export takes effect when it
// appears although nothing of its name was kept before, and that nothing is lost over a cut connection or a lost history
// (SPEC E1, E5, L6).
func TestSimulatedProvider(t *testing.T) {
	for kind, open := range map[string]func(*testing.T) source{"kube-apiserver": realSource, "simulated": simulatedSource} {
		t.Run(kind, func(t *testing.T) {
			consumer := start(t, controlplane.Options{Name: "c", AuditLog: true})[0]
			namespace(t, provider.Namespace, consumer)
			p := open(t)
			way := linkTo(t, p.config)
			reg := registration.Registration{ID: "p", Origin: "test p", Config: p.config, Revision: "1", Provider: true}
			own := registered(consumer)
			own.Provider, own.ExportStatus = false, false
			run(t, &registrations{list: []registration.Registration{reg, own}}, func(o *controller.Options) { o.ClusterSet = kind })

			const ns = provider.Namespace
			a, b := provider.Other(0), provider.Other(1)
			for _, step := range []struct {
				name string
				do   func()
				want func() error
			}{
				{"what is exported at first arrives", func() {}, consumer.wantImported(ns, exportedFirst)},
				{"a change", func() { p.change(exportedFirst, "10.9.0.1") }, consumer.wantAddresses(ns, exportedFirst, "p/10.9.0.1")},
				{"what nobody exports changes, and is exported then", func() { p.change(a, "10.9.0.2"); p.export(a) }, consumer.wantAddresses(ns, a, "p/10.9.0.2")},
				{"and changes again", func() { p.change(a, "10.9.0.3") }, consumer.wantAddresses(ns, a, "p/10.9.0.3")},
				{"the export is deleted", func() { p.unexport(a) }, consumer.wantGone(ns, a)},
				{"and returns after another change", func() { p.change(a, "10.9.0.4"); p.export(a) }, consumer.wantAddresses(ns, a, "p/10.9.0.4")},
				{"the connection is cut meanwhile: a change", func() {
					way.Set(link.Cut, 0)
					p.change(exportedFirst, "10.9.0.5")
					p.export(b)
					p.unexport(a)
					way.Set(link.Passing, 0)
				}, consumer.wantAddresses(ns, exportedFirst, "p/10.9.0.5")},
				{"an export", func() {}, consumer.wantImported(ns, b)},
				{"and a deletion", func() {}, consumer.wantGone(ns, a)},
				{"history is lost meanwhile: a change", func() {
					way.Set(link.Cut, 0)
					p.restart()
					p.change(exportedFirst, "10.9.0.6")
					p.export(a)
					way.Set(link.Passing, 0)
				}, consumer.wantAddresses(ns, exportedFirst, "p/10.9.0.6")},
				{"and an export", func() {}, consumer.wantAddresses(ns, a, "p/10.9.0.4")},
				{"and it goes on", func() { p.change(b, "10.9.0.7") }, consumer.wantAddresses(ns, b, "p/10.9.0.7")},
			} {
				step.do()
				kit.Eventually(t, step.name, step.want)
			}
			if n := sliceWrites(t, consumer, exportedFirst); n != 4 {
				t.Errorf("%d writes of the slice of %s, want one for each of the 4 states that it was left in", n, exportedFirst)
			}
		})
	}
}

// linkTo puts a link in front of the API server of cfg, which is changed.
func linkTo(t *testing.T, cfg *rest.Config) *link.Link {
	t.Helper()
	server, err := url.Parse(cfg.Host)
	kit.Must(t, err)
	way, err := link.New(cfg.Host)
	kit.Must(t, err)
	t.Cleanup(way.Close)
	cfg.Host = way.URL() + server.Path
	return way
}

// sliceWrites counts the mutating requests for imported slices of a service.
func sliceWrites(t *testing.T, c *cluster, service string) (n int) {
	t.Helper()
	requests, err := c.AuditedRequests()
	kit.Must(t, err)
	for _, r := range requests {
		if strings.HasPrefix(r.Resource, "endpointslices") && strings.HasPrefix(r.Name, "amcs-"+service+"-") {
			n++
		}
	}
	return n
}
