package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/provider"
)

// arrivals tells when the consumer's slices show addresses that are waited for.
type arrivals struct {
	mu   sync.Mutex
	sent map[string]time.Time
	took spread
}

// follow watches the consumer's slices until ctx ends.
func (b *bench) follow(ctx context.Context) (*arrivals, error) {
	a := &arrivals{sent: map[string]time.Time{}}
	slices := b.kube.DiscoveryV1().EndpointSlices(provider.Namespace)
	now, err := slices.List(ctx, metav1.ListOptions{Limit: 1}) // from when on: what there is already is not waited for
	if err != nil {
		return nil, err
	}
	w, err := slices.Watch(ctx, metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster, ResourceVersion: now.ResourceVersion})
	if err != nil {
		return nil, err
	}
	go func() {
		defer w.Stop()
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*discoveryv1.EndpointSlice); ok && len(s.Endpoints) == 1 {
				a.arrived(s.Endpoints[0].Addresses[0])
			}
		}
	}()
	return a, nil
}

func (a *arrivals) arrived(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sent, ok := a.sent[address]; ok {
		a.took = append(a.took, time.Since(sent))
		delete(a.sent, address)
	}
}

func (a *arrivals) send(c *provider.Cluster, service, address string) {
	a.mu.Lock()
	a.sent[address] = time.Now()
	a.mu.Unlock()
	c.Change(service, address)
}

func (a *arrivals) awaitAll(ctx context.Context) error {
	return poll(ctx, func(context.Context) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.sent) > 0 {
			return fmt.Errorf("%d changes have not arrived", len(a.sent))
		}
		return nil
	})
}
