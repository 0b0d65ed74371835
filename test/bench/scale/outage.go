package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/bench/provider"
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
	counting, end := context.WithCancel(ctx)
	defer end()
	filled, err := drive.Filled(counting, b.kube, provider.Namespace, c.ID)
	if err != nil {
		return err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	latency := b.probe(probing)

	began := time.Now()
	c.SetDown(true)
	if err := filled.Await(ctx, 0); err != nil { // nobody is the last exporter of a name, but where there is one provider
		return fmt.Errorf("endpoints of %s that is away: %w", c.ID, err)
	}
	gone := time.Since(began)
	began = time.Now()
	c.SetDown(false)
	if err := filled.Await(ctx, len(own)); err != nil {
		return fmt.Errorf("endpoints of %s that is back: %w", c.ID, err)
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
		case strings.HasPrefix(q.Resource, mcs.ServiceImportPluralName):
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
