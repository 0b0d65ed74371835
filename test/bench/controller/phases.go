package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"
)

// pollInterval is the time between two looks at what the controller has done.
const pollInterval = 500 * time.Millisecond

func isWrite(r controlplane.AuditedRequest) bool {
	return strings.HasPrefix(r.UserAgent, agent) && !strings.HasPrefix(r.Resource, "events")
}

// importAll starts the controller on the full clusters and waits until every import is ready in both.
func (b *bench) importAll(ctx context.Context) (throughput, error) {
	if err := b.startController(); err != nil {
		return throughput{}, err
	}
	for _, m := range []*member{b.consumer, b.provider} {
		if err := b.awaitImports(ctx, m); err != nil {
			return throughput{}, err
		}
	}
	requests, err := b.rest(ctx)
	return throughput{writes: len(requests), took: span(requests)}, err
}

func (b *bench) awaitImports(ctx context.Context, m *member) error {
	return drive.Poll(ctx, pollInterval, 15*time.Minute, func(ctx context.Context) error {
		list := &mcs.ServiceImportList{}
		err := m.mcs.Get().Namespace(namespace).Resource(mcs.ServiceImportPluralName).
			VersionedParams(&metav1.ListOptions{ResourceVersion: "0"}, metav1.ParameterCodec).Do(ctx).Into(list)
		if err != nil {
			return err
		}
		ready := 0
		for i := range list.Items {
			if len(list.Items[i].Spec.IPs) > 0 && len(list.Items[i].Status.Conditions) > 0 {
				ready++
			}
		}
		if ready < b.exported {
			return fmt.Errorf("%d of %d imports are ready in cluster %s", ready, b.exported, m.Name())
		}
		return nil
	})
}

// rest waits until the controller has sent no write for two seconds and returns all that it sent.
func (b *bench) rest(ctx context.Context) (requests []controlplane.AuditedRequest, err error) {
	last, since := -1, time.Now()
	err = drive.Poll(ctx, pollInterval, 2*time.Minute, func(context.Context) error {
		if requests, _, err = b.writes(); err != nil {
			return err
		}
		if len(requests) != last {
			last, since = len(requests), time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return fmt.Errorf("the controller still writes, %d requests so far", last)
		}
		return nil
	})
	return requests, err
}

// loop sends to both API servers, with as many workers, the writes that the import took: per name the same objects, made by
// reading back what the controller made, in the same order, and to the provider the export's status.
func (b *bench) loop(ctx context.Context) (_ throughput, err error) {
	replays := map[*member][]*replay{}
	for _, m := range []*member{b.provider, b.consumer} {
		for n := range b.exported {
			r, err := newReplay(ctx, m, name(n), m == b.provider)
			if err != nil {
				return throughput{}, err
			}
			replays[m] = append(replays[m], r)
		}
	}
	if err := programs.Suspend(b.controller.PID()); err != nil {
		return throughput{}, err
	}
	defer func() { err = errors.Join(err, programs.Resume(b.controller.PID())) }()
	var wg sync.WaitGroup
	counts, errs := make([]int, 2), make([]error, 2)
	start := time.Now()
	for i, m := range []*member{b.provider, b.consumer} {
		wg.Go(func() {
			var mu sync.Mutex
			errs[i] = drive.Each(ctx, b.exported, b.workers, func(ctx context.Context, n int) error {
				sent, err := replays[m][n].send(ctx)
				mu.Lock()
				counts[i] += sent
				mu.Unlock()
				return err
			})
		})
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range errs {
		if err != nil {
			return throughput{}, err
		}
	}
	return throughput{writes: counts[0] + counts[1], took: took}, nil
}

// changeCost is what changes of single slices cost.
type changeCost struct {
	writes int
	// From the provider's watch event: until the write has arrived at the consumer's API server, which is the controller's
	// part; until that server has answered it; and until the consumer's watch shows it.
	sent, written, shown []time.Duration
	bare                 []time.Duration // from the write to the provider to its watch event: what one write costs by itself
}

// change changes slices one after the other and compares when the provider's own watch and the consumer's show it.
func (b *bench) change(ctx context.Context) (changeCost, error) {
	var cost changeCost
	if _, err := b.rest(ctx); err != nil { // it puts right what the loop wrote into the exports' statuses
		return cost, err
	}
	_, before, err := b.writes()
	if err != nil {
		return cost, err
	}
	source, err := b.provider.kube.DiscoveryV1().EndpointSlices(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: "!" + mcsapi.LabelSourceCluster})
	if err != nil {
		return cost, err
	}
	defer source.Stop()
	target, err := b.consumer.kube.DiscoveryV1().EndpointSlices(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster})
	if err != nil {
		return cost, err
	}
	defer target.Stop()
	var events []time.Time
	for n := range b.changes {
		address := fmt.Sprintf("10.200.%d.%d", n/250, n%250+1)
		seen := make(chan time.Time, 1)
		go func() { seen <- await(source, address) }()
		began := time.Now()
		body := fmt.Sprintf(`{"endpoints":[{"addresses":[%q],"conditions":{"ready":true}}]}`, address)
		if _, err := b.provider.kube.DiscoveryV1().EndpointSlices(namespace).Patch(ctx, name(n%b.exported)+"-abcde", types.MergePatchType, []byte(body), metav1.PatchOptions{}); err != nil {
			return cost, err
		}
		arrived := await(target, address)
		if arrived.IsZero() {
			return cost, fmt.Errorf("the watch of the consumer ended")
		}
		shown := <-seen
		events = append(events, shown)
		cost.shown = append(cost.shown, max(arrived.Sub(shown), 0))
		cost.bare = append(cost.bare, shown.Sub(began))
	}
	if _, err := b.rest(ctx); err != nil {
		return cost, err
	}
	since, _, err := b.writes(before...)
	if err != nil {
		return cost, err
	}
	cost.writes = len(since)
	if len(since) < b.changes {
		return cost, fmt.Errorf("%d writes for %d changes", len(since), b.changes)
	}
	return cost, cost.compare(events, since[len(since)-b.changes:])
}

// compare notes how long after each of the provider's events the write to the consumer came. With one change at a time, as
// many writes as events are in the same order.
func (c *changeCost) compare(events []time.Time, writes []controlplane.AuditedRequest) error {
	for i, w := range writes {
		if w.Resource != "endpointslices.discovery.k8s.io" || w.Verb != "update" {
			return fmt.Errorf("%s %s among the writes of slices", w.Verb, w.Resource)
		}
		c.sent = append(c.sent, max(w.Received.Sub(events[i]), 0))
		c.written = append(c.written, max(w.Answered.Sub(events[i]), 0))
	}
	return nil
}

// await returns when the watch showed a slice with the address, or zero when it ended.
func await(w watch.Interface, address string) time.Time {
	for e := range w.ResultChan() {
		s, ok := e.Object.(*discoveryv1.EndpointSlice)
		if ok && len(s.Endpoints) == 1 && s.Endpoints[0].Addresses[0] == address {
			return time.Now()
		}
	}
	return time.Time{}
}

// restart starts the controller anew and returns the writes that it sent although all was in place. That it is at work shows
// in a new export, whose own writes do not count.
func (b *bench) restart(ctx context.Context) (int, error) {
	b.controller.Stop(patience)
	_, before, err := b.writes()
	if err != nil {
		return 0, err
	}
	if err := b.startController(); err != nil {
		return 0, err
	}
	marker := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name(b.exported)}}
	if err := b.provider.mcs.Post().Namespace(namespace).Resource(mcs.ServiceExportPluralName).Body(marker).Do(ctx).Error(); err != nil {
		return 0, err
	}
	b.exported++
	for _, m := range []*member{b.consumer, b.provider} {
		if err := b.awaitImports(ctx, m); err != nil {
			return 0, err
		}
	}
	if _, err := b.rest(ctx); err != nil {
		return 0, err
	}
	requests, _, err := b.writes(before...)
	// Per cluster: import, slice, Service, addresses, status; and the status of the export.
	const ofMarker = 2*5 + 1
	return len(requests) - ofMarker, err
}
