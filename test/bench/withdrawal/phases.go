package main

import (
	"context"
	"fmt"
	"os"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/bench/provider"
	"github.com/clusterset/multicluster/test/link"
)

// imports begins a census of the imports that have a condition which is true.
func (b *bench) imports(ctx context.Context, condition string) (*drive.Census, error) {
	return drive.Count(ctx, b.mcs, mcs.ServiceImportPluralName, provider.Namespace, "", &mcs.ServiceImport{}, func(i *mcs.ServiceImport) bool {
		return meta.IsStatusConditionTrue(i.Status.Conditions, condition)
	})
}

// importAll waits until the consumer holds everything.
func (b *bench) importAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Fprintln(os.Stderr, "importing")
	ready, err := b.imports(ctx, string(mcs.ServiceImportConditionReady))
	if err != nil {
		return err
	}
	return ready.Await(ctx, b.services)
}

// round is what was measured while the provider died and came back once; first, all and said begin when packets vanish, back
// when they pass again.
type round struct {
	bare, first, all, said, back time.Duration
	cpu                          time.Duration // of the controller, from first to all
}

func (b *bench) round(ctx context.Context) (r round, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.bare, err = b.bareLoop(ctx); err != nil {
		return r, fmt.Errorf("the bare loop: %w", err)
	}
	held, err := drive.Filled(ctx, b.kube, provider.Namespace, vanishing)
	if err != nil {
		return r, err
	}
	saying, err := b.imports(ctx, plan.ConditionUnreachable)
	if err != nil {
		return r, err
	}
	if err := held.Await(ctx, b.services); err != nil {
		return r, err
	}
	vanished := time.Now()
	b.link.Set(link.Blackholed, 0)
	if err := held.AwaitFewer(ctx, b.services); err != nil {
		return r, err
	}
	r.first = time.Since(vanished)
	before, err := b.controller.CPU()
	if err != nil {
		return r, err
	}
	if err := held.Await(ctx, 0); err != nil {
		return r, err
	}
	r.all = time.Since(vanished)
	after, err := b.controller.CPU()
	if err != nil {
		return r, err
	}
	r.cpu = after - before
	if err := saying.Await(ctx, b.services); err != nil {
		return r, err
	}
	r.said = time.Since(vanished)

	passing := time.Now()
	b.link.Set(link.Passing, 0)
	if err := held.Await(ctx, b.services); err != nil {
		return r, err
	}
	r.back = time.Since(passing)
	return r, saying.Await(ctx, 0)
}

// bareLoop creates slices in the consumer that belong to nobody, and returns how long it takes to delete them.
func (b *bench) bareLoop(ctx context.Context) (time.Duration, error) {
	slices := b.kube.DiscoveryV1().EndpointSlices(provider.Namespace)
	name := func(n int) string { return provider.Name(n) + "-bare" }
	if err := drive.Each(ctx, b.services, b.workers, func(ctx context.Context, n int) error {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name(n)}, AddressType: discoveryv1.AddressTypeIPv4}
		for e := range b.endpoints {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.0.0.%d", e+1)}})
		}
		_, err := slices.Create(ctx, s, metav1.CreateOptions{})
		return err
	}); err != nil {
		return 0, err
	}
	began := time.Now()
	err := drive.Each(ctx, b.services, b.workers, func(ctx context.Context, n int) error {
		return slices.Delete(ctx, name(n), metav1.DeleteOptions{})
	})
	return time.Since(began), err
}
