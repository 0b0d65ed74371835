package main

import (
	"context"
	"fmt"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/scale/provider"
)

// census counts the consumer's objects of a kind of which something holds. It follows a watch, since asking for all of them
// again and again would be work for the API server that is measured.
type census struct {
	mu sync.Mutex
	in map[string]bool
}

// count begins a census of the objects with the labels; it ends with ctx.
func count[T interface {
	metav1.Object
	runtime.Object
}](ctx context.Context, client rest.Interface, resource, labels string, empty T, holds func(T) bool) (*census, error) {
	c := &census{in: map[string]bool{}}
	source := cache.NewFilteredListWatchFromClient(client, resource, provider.Namespace, func(o *metav1.ListOptions) { o.LabelSelector = labels })
	note := func(o any) {
		if t, ok := o.(T); ok {
			c.note(t.GetName(), holds(t))
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: source, ObjectType: empty, Handler: cache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, o any) { note(o) },
		DeleteFunc: func(o any) {
			if key, err := cache.DeletionHandlingObjectToName(o); err == nil {
				c.note(key.Name, false)
			}
		},
	}})
	go informer.RunWithContext(ctx)
	return c, poll(ctx, func(context.Context) error {
		if !informer.HasSynced() {
			return fmt.Errorf("%s are not listed yet", resource)
		}
		return nil
	})
}

func (c *census) note(name string, holds bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holds {
		c.in[name] = true
	} else {
		delete(c.in, name)
	}
}

// await waits until there are want of them.
func (c *census) await(ctx context.Context, want int) error {
	return poll(ctx, func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.in) != want {
			return fmt.Errorf("%d, want %d", len(c.in), want)
		}
		return nil
	})
}

// awaitImported waits until every import is complete: every exporter has its slices, and the import its address.
func (b *bench) awaitImported(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	complete, err := count(ctx, b.mcs, mcs.ServiceImportPluralName, "", &mcs.ServiceImport{}, func(i *mcs.ServiceImport) bool {
		return len(i.Spec.IPs) > 0 && len(i.Status.Clusters) == b.exporters
	})
	if err == nil {
		err = complete.await(ctx, b.exports)
	}
	if err != nil {
		return fmt.Errorf("complete imports: %w", err)
	}
	return nil
}

// filled begins a census of the slices that the consumer has of a provider, and that have endpoints.
func (b *bench) filled(ctx context.Context, c *provider.Cluster) (*census, error) {
	return count(ctx, b.kube.DiscoveryV1().RESTClient(), "endpointslices", mcsapi.LabelSourceCluster+"="+c.ID, &discoveryv1.EndpointSlice{},
		func(s *discoveryv1.EndpointSlice) bool { return len(s.Endpoints) > 0 })
}
