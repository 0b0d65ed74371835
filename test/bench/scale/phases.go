package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/bench/scale/provider"
)

// patience is how long one phase may take.
const patience = 30 * time.Minute

// poll asks for a condition every second, and returns its last complaint when it never came true.
func poll(ctx context.Context, condition func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// importAll starts the controller, waits until everything is imported, and says what that took.
func (b *bench) importAll(ctx context.Context) error {
	began := time.Now()
	if err := b.start(); err != nil {
		return err
	}
	if err := b.awaitImported(ctx); err != nil {
		return err
	}
	writes, err := b.awaitRest(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	cpu, err := b.controller.CPU()
	if err != nil {
		return err
	}
	rss, _, err := b.controller.Memory()
	if err != nil {
		return err
	}
	row("import of everything", "%d writes in %.0f s: %.0f/s, CPU of the controller %.0f s", writes, took.Seconds(), float64(writes)/took.Seconds(), cpu.Seconds())
	row("memory of the controller", "RSS %d MiB", rss>>20)
	row("watches on providers, requests to them", "%d, %d", b.watches(), b.requests())
	return nil
}

// atRest says what the controller uses and sends while nothing changes.
func (b *bench) atRest(ctx context.Context) error {
	began, requests := time.Now(), b.requests()
	cpu, err := b.controller.CPU()
	if err != nil {
		return err
	}
	before, err := b.writes()
	if err != nil {
		return err
	}
	if err := pause(ctx, b.size.rest); err != nil {
		return err
	}
	used, err := b.controller.CPU()
	if err != nil {
		return err
	}
	after, err := b.writes()
	if err != nil {
		return err
	}
	took := time.Since(began)
	row("at rest", "%.1f %% of one core, %d writes, %.0f requests/s to providers",
		100*float64(used-cpu)/float64(took), after-before, float64(b.requests()-requests)/took.Seconds())
	return nil
}

// awaitImported waits until the consumer has every slice of every exporter, and every import its address.
func (b *bench) awaitImported(ctx context.Context) error {
	return poll(ctx, func(ctx context.Context) error {
		imports := &mcs.ServiceImportList{}
		err := b.mcs.Get().Namespace(provider.Namespace).Resource(mcs.ServiceImportPluralName).
			VersionedParams(&metav1.ListOptions{ResourceVersion: "0"}, metav1.ParameterCodec).Do(ctx).Into(imports)
		if err != nil {
			return err
		}
		done := 0
		for i := range imports.Items {
			if len(imports.Items[i].Spec.IPs) > 0 && len(imports.Items[i].Status.Clusters) == b.exporters {
				done++
			}
		}
		if done < b.exports {
			return fmt.Errorf("%d of %d imports are complete", done, b.exports)
		}
		return nil
	})
}

// awaitRest waits until the controller has not written for three seconds, and returns how much it wrote in all.
func (b *bench) awaitRest(ctx context.Context) (writes int, err error) {
	last, since := -1, time.Now()
	err = poll(ctx, func(context.Context) error {
		if writes, err = b.writes(); err != nil {
			return err
		}
		if writes != last {
			last, since = writes, time.Now()
		}
		if time.Since(since) < 3*time.Second {
			return fmt.Errorf("the controller still writes")
		}
		return nil
	})
	return writes, err
}

// arrivals tells when the consumer's slices show addresses that are waited for.
type arrivals struct {
	mu   sync.Mutex
	sent map[string]time.Time
	took []time.Duration
}

// follow watches the consumer's slices until ctx ends.
func (b *bench) follow(ctx context.Context) (*arrivals, error) {
	a := &arrivals{sent: map[string]time.Time{}}
	w, err := b.kube.DiscoveryV1().EndpointSlices(provider.Namespace).Watch(ctx, metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster})
	if err != nil {
		return nil, err
	}
	go func() {
		defer w.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e, open := <-w.ResultChan():
				if !open {
					return
				}
				if s, ok := e.Object.(*discoveryv1.EndpointSlice); ok && len(s.Endpoints) == 1 {
					a.arrived(s.Endpoints[0].Addresses[0])
				}
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

// change changes slices at the rate, each another one, and returns how long each took.
func (b *bench) change(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := b.follow(ctx)
	if err != nil {
		return nil, err
	}
	ticks := time.NewTicker(time.Second / time.Duration(b.rate))
	defer ticks.Stop()
	for i, n := range rand.Perm(b.exports)[:min(b.changes, b.exports)] {
		<-ticks.C
		of := b.exportersOf[name(n)]
		a.send(of[i%len(of)], name(n), fmt.Sprintf("172.16.%d.%d", i/250, i%250+1))
	}
	err = a.awaitAll(ctx)
	return a.took, err
}

// restart stops the controller, changes one slice of each provider, and starts it again: it is in sync with all of them when
// all those changes have arrived. It returns how long that took, and how much was written.
func (b *bench) restart(ctx context.Context) (took time.Duration, writes int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.controller.Stop(10 * time.Second)
	before, err := b.writes()
	if err != nil {
		return 0, 0, err
	}
	a, err := b.follow(ctx)
	if err != nil {
		return 0, 0, err
	}
	for i, c := range b.clusters {
		if exported := c.Exported(); len(exported) > 0 {
			a.send(c, exported[0], fmt.Sprintf("172.20.%d.%d", i/250, i%250+1))
		}
	}
	began := time.Now()
	if err := b.start(); err != nil {
		return 0, 0, err
	}
	if err := a.awaitAll(ctx); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	after, err := b.awaitRest(ctx)
	return took, after - before, err
}

// pause lets time pass that is measured.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
