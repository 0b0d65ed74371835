package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/scale/provider"
)

// outage takes one provider away for longer than the grace period and gives it back.
func (b *bench) outage(ctx context.Context, r *report) error {
	c := b.clusters[0]
	own, err := b.slicesOf(ctx, c)
	if err != nil {
		return err
	}
	before, err := b.requests()
	if err != nil {
		return err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	latency := b.probe(probing)

	began := time.Now()
	c.SetDown(true)
	if err := b.awaitEndpoints(ctx, c, false); err != nil {
		return err
	}
	gone := time.Since(began)
	began = time.Now()
	c.SetDown(false)
	if err := b.awaitEndpoints(ctx, c, true); err != nil {
		return err
	}
	back := time.Since(began)
	if _, err := b.awaitRest(ctx); err != nil {
		return err
	}
	stop()
	after, err := b.requests()
	if err != nil {
		return err
	}
	slices, others, imports := 0, 0, 0
	for _, q := range after[len(before):] {
		switch {
		case strings.HasPrefix(q.Resource, mcsImports):
			imports++
		case own[q.Name]:
			slices++
		default:
			others++
		}
	}
	r.add("outage of one: its endpoints out, in again after", "%.1f s, %.1f s", gone.Seconds(), back.Seconds())
	r.add("writes of its own slices, of imports, of others", "%d for %d slices, %d, %d", slices, len(own), imports, others)
	r.add("a write to the consumer meanwhile, p50, p99", "%s", latency())
	return nil
}

// slicesOf returns the names of the slices that the consumer holds of a provider.
func (b *bench) slicesOf(ctx context.Context, c *provider.Cluster) (map[string]bool, error) {
	list, err := b.kube.DiscoveryV1().EndpointSlices(provider.Namespace).List(ctx, metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster + "=" + c.ID})
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i := range list.Items {
		names[list.Items[i].Name] = true
	}
	return names, nil
}

// awaitEndpoints waits until the consumer has endpoints of a provider in all of its names, or in none. Of names that nobody
// else exports the last endpoints stay, but there are none here but with one provider.
func (b *bench) awaitEndpoints(ctx context.Context, c *provider.Cluster, want bool) error {
	return poll(ctx, func(ctx context.Context) error {
		list, err := b.kube.DiscoveryV1().EndpointSlices(provider.Namespace).List(ctx, metav1.ListOptions{
			LabelSelector: mcsapi.LabelSourceCluster + "=" + c.ID, ResourceVersion: "0"})
		if err != nil {
			return err
		}
		filled := 0
		for i := range list.Items {
			if len(list.Items[i].Endpoints) > 0 {
				filled++
			}
		}
		all := len(c.Exported())
		if want && filled < all || !want && filled > 0 {
			return fmt.Errorf("%d of %d slices of %s have endpoints", filled, all, c.ID)
		}
		return nil
	})
}

// probe writes to the consumer ten times a second until ctx ends; the answer says how long that took.
func (b *bench) probe(ctx context.Context) func() spread {
	var took spread
	var done sync.WaitGroup
	maps := b.kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	done.Go(func() {
		ticks := time.NewTicker(100 * time.Millisecond)
		defer ticks.Stop()
		held, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-"}}, metav1.CreateOptions{})
		for n := 0; err == nil; n++ {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			held.Data = map[string]string{"n": fmt.Sprint(n)}
			began := time.Now()
			if held, err = maps.Update(ctx, held, metav1.UpdateOptions{}); err == nil {
				took = append(took, time.Since(began))
			}
		}
	})
	return func() spread { done.Wait(); return took }
}
