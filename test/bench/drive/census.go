package drive

import (
	"context"
	"fmt"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Census counts the objects of a kind of which something holds. It follows a watch, since asking for all of them again and
// again would be work for the API server that is measured.
type Census struct {
	what  string
	mu    sync.Mutex
	in    map[string]bool
	moved chan struct{} // closed at the next change
}

// Count begins a census of the objects of a resource in one namespace that have the labels, as a selector; it ends with ctx.
func Count[T interface {
	metav1.Object
	runtime.Object
}](ctx context.Context, client rest.Interface, resource, namespace, labels string, empty T, holds func(T) bool) (*Census, error) {
	c := &Census{what: resource, in: map[string]bool{}, moved: make(chan struct{})}
	source := cache.NewFilteredListWatchFromClient(client, resource, namespace, func(o *metav1.ListOptions) { o.LabelSelector = labels })
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
	return c, Poll(ctx, 10*time.Millisecond, time.Minute, func(context.Context) error {
		if !informer.HasSynced() {
			return fmt.Errorf("%s are not listed yet", resource)
		}
		return nil
	})
}

// Filled begins a census of the imported slices that have endpoints, of one cluster in one namespace.
func Filled(ctx context.Context, client kubernetes.Interface, namespace, cluster string) (*Census, error) {
	return Count(ctx, client.DiscoveryV1().RESTClient(), "endpointslices", namespace, mcs.LabelSourceCluster+"="+cluster, &discoveryv1.EndpointSlice{},
		func(s *discoveryv1.EndpointSlice) bool { return len(s.Endpoints) > 0 })
}

func (c *Census) note(name string, holds bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in[name] == holds {
		return
	}
	if holds {
		c.in[name] = true
	} else {
		delete(c.in, name)
	}
	close(c.moved)
	c.moved = make(chan struct{})
}

// Await waits until there are want of them.
func (c *Census) Await(ctx context.Context, want int) error {
	return c.await(ctx, fmt.Sprint(want), func(n int) bool { return n == want })
}

// AwaitFewer waits until there are fewer than n of them.
func (c *Census) AwaitFewer(ctx context.Context, n int) error {
	return c.await(ctx, fmt.Sprintf("fewer than %d", n), func(have int) bool { return have < n })
}

func (c *Census) await(ctx context.Context, want string, enough func(int) bool) error {
	for {
		c.mu.Lock()
		n, moved := len(c.in), c.moved
		c.mu.Unlock()
		if enough(n) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%d %s, want %s: %w", n, c.what, want, context.Cause(ctx))
		}
	}
}
