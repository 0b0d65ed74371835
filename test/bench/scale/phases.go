package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/programs"
)

// patience is how long one phase may take.
const patience = 2 * time.Hour

// poll asks for a condition ten times a second, and returns its last complaint when it never came true.
func poll(ctx context.Context, condition func(context.Context) error) error {
	return drive.Poll(ctx, 100*time.Millisecond, patience, condition)
}

// importAll starts the controller, waits until everything is imported, and says what that took.
func (b *bench) importAll(ctx context.Context, r *report) error {
	began := time.Now()
	if err := b.start(); err != nil {
		return err
	}
	if err := b.awaitImported(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	writes, err := b.awaitRest(ctx)
	if err != nil {
		return err
	}
	cpu, err := b.controller.CPU()
	if err != nil {
		return err
	}
	if err := b.awaitDNS(ctx); err != nil {
		return err
	}
	r.add("import of everything", "%d writes, %.0f s", writes, took.Seconds())
	r.add("writes a second, CPU of the controller", "%.0f, %.0f s", float64(writes)/took.Seconds(), cpu.Seconds())
	return nil
}

// memory notes what the programs hold: now, and at the peak.
func memory(r *report, what string, p *programs.Process) error {
	now, peak, err := p.Memory()
	if err != nil {
		return err
	}
	r.add("memory of "+what+", peak", "%d MiB, %d MiB", now>>20, peak>>20)
	return nil
}

// atRest says what the controller holds, uses and sends while nothing changes.
func (b *bench) atRest(ctx context.Context, r *report) error {
	if err := memory(r, "the controller", b.controller); err != nil {
		return err
	}
	if err := memory(r, "CoreDNS", b.dns); err != nil {
		return err
	}
	r.add("watches on providers, connections to them", "%d, %d", b.watches(), b.server.Connections())
	before, err := b.requests()
	if err != nil {
		return err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	latency := b.probe(probing)
	began, asked := time.Now(), b.asked()
	cpu, err := b.controller.CPU()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.rest): // this much time is measured
	}
	used, err := b.controller.CPU()
	if err != nil {
		return err
	}
	took := time.Since(began)
	stop()
	after, err := b.requests()
	if err != nil {
		return err
	}
	r.add("at rest: CPU of the controller, writes", "%.1f %% of a core, %d", 100*float64(used-cpu)/float64(took), len(after)-len(before))
	r.add("requests to all providers", "%.0f /s", float64(b.asked()-asked)/took.Seconds())
	r.add("a write to the consumer by others, p50, p99", "%s", latency())
	return nil
}

// awaitImported waits until every import is complete: every exporter has its slices, and the import its address.
func (b *bench) awaitImported(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	complete, err := drive.Count(ctx, b.mcs, mcs.ServiceImportPluralName, provider.Namespace, "", &mcs.ServiceImport{}, func(i *mcs.ServiceImport) bool {
		return len(i.Spec.IPs) > 0 && len(i.Status.Clusters) == b.exporters
	})
	if err != nil {
		return err
	}
	return complete.Await(ctx, b.exports)
}

// awaitRest waits until the controller has not written for three seconds, and returns how much it wrote in all.
func (b *bench) awaitRest(ctx context.Context) (int, error) {
	last, since := -1, time.Now()
	err := drive.Poll(ctx, time.Second, patience, func(context.Context) error {
		requests, err := b.requests()
		if err != nil {
			return err
		}
		if len(requests) != last {
			last, since = len(requests), time.Now()
		}
		if time.Since(since) < 3*time.Second {
			return fmt.Errorf("the controller still writes")
		}
		return nil
	})
	return last, err
}

// change changes slices at the rate, each another one.
func (b *bench) change(ctx context.Context, r *report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a, err := b.follow(ctx)
	if err != nil {
		return err
	}
	before, err := b.requests()
	if err != nil {
		return err
	}
	ticks := time.NewTicker(time.Second / time.Duration(b.rate))
	defer ticks.Stop()
	order := rand.Perm(b.exports)
	for i := range b.changes {
		<-ticks.C
		n := order[i%len(order)]
		of := b.exportersOf[provider.Name(n)]
		a.send(of[(i+i/len(order))%len(of)], provider.Name(n), fmt.Sprintf("172.16.%d.%d", i/250, i%250+1))
	}
	if err := a.awaitAll(ctx); err != nil {
		return err
	}
	if _, err := b.awaitRest(ctx); err != nil {
		return err
	}
	after, err := b.requests()
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("a change, at %d/s, p50, p99", b.rate), "%s", a.took)
	r.add("writes per change", "%.2f", float64(len(after)-len(before))/float64(b.changes))
	return nil
}

// restart stops the controller, changes one slice of each provider, and starts it again: it is in sync with all of them when
// all those changes have arrived. What it writes beside them is what a restart costs.
func (b *bench) restart(ctx context.Context, r *report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.controller.Stop(10 * time.Second)
	before, err := b.requests()
	if err != nil {
		return err
	}
	a, err := b.follow(ctx)
	if err != nil {
		return err
	}
	changes := 0
	for i, c := range b.clusters {
		if exported := c.Exported(); len(exported) > 0 {
			a.send(c, exported[0], fmt.Sprintf("172.20.%d.%d", i/250, i%250+1))
			changes++
		}
	}
	began := time.Now()
	if err := b.start(); err != nil {
		return err
	}
	if err := a.awaitAll(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := b.awaitRest(ctx)
	if err != nil {
		return err
	}
	r.add("restart: in sync with all after, writes but changes", "%.1f s, %d", took.Seconds(), after-len(before)-changes)
	return memory(r, "the controller after a restart", b.controller)
}
