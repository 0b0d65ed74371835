package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/bench/drive"
	"github.com/clusterset/multicluster/test/link"
)

// bareLoop creates slices in the consumer that belong to nobody, deletes them, and returns how many a second it deleted.
func (b *bench) bareLoop(ctx context.Context) (rate float64, err error) {
	c := b.members["c"]
	slices := c.kube.DiscoveryV1().EndpointSlices(namespace)
	fmt.Fprintln(os.Stderr, "running the bare loop")
	if err := drive.Each(ctx, b.services, 16, func(ctx context.Context, n int) error { return c.createSlice(ctx, slice(0, n, b.endpoints)) }); err != nil {
		return 0, err
	}
	began := time.Now()
	err = drive.Each(ctx, b.services, b.workers, func(ctx context.Context, n int) error {
		return slices.Delete(ctx, name(n)+"-abcde", metav1.DeleteOptions{})
	})
	return float64(b.services) / time.Since(began).Seconds(), err
}

// held follows the vanishing provider's slices in the consumer until there are want of them, and returns when the first
// change was seen, and when there were as many.
func (b *bench) held(ctx context.Context, want int) (first, reached time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	slices := b.members["c"].kube.DiscoveryV1().EndpointSlices(namespace)
	selector := metav1.ListOptions{LabelSelector: mcs.LabelSourceCluster + "=" + vanishing}
	list, err := slices.List(ctx, selector)
	if err != nil {
		return first, reached, err
	}
	held := map[string]bool{}
	for i := range list.Items {
		held[list.Items[i].Name] = true
	}
	selector.ResourceVersion = list.ResourceVersion
	w, err := slices.Watch(ctx, selector)
	if err != nil {
		return first, reached, err
	}
	defer w.Stop()
	for len(held) != want {
		select {
		case e, ok := <-w.ResultChan():
			o, is := e.Object.(metav1.Object)
			if !ok || !is {
				return first, reached, fmt.Errorf("the watch ended: %v", e.Object)
			}
			if first.IsZero() {
				first = time.Now()
			}
			if e.Type == watch.Deleted {
				delete(held, o.GetName())
			} else {
				held[o.GetName()] = true
			}
		case <-b.controller.Done():
			return first, reached, b.controller.Err()
		case <-ctx.Done():
			return first, reached, fmt.Errorf("%d slices, want %d: %w", len(held), want, ctx.Err())
		}
	}
	return first, time.Now(), nil
}

// importAll waits until the consumer holds everything, and says nothing of anybody being out of reach.
func (b *bench) importAll(ctx context.Context) error {
	fmt.Fprintln(os.Stderr, "importing")
	if _, _, err := b.held(ctx, b.services); err != nil {
		return err
	}
	_, err := b.await(ctx, "Ready", b.services)
	return err
}

type withdrawal struct {
	at         time.Time // when packets began to vanish
	first, all time.Duration
}

func (b *bench) vanish(ctx context.Context) (withdrawal, error) {
	b.link.Set(link.Blackholed, 0)
	w := withdrawal{at: time.Now()}
	first, all, err := b.held(ctx, 0)
	w.first, w.all = first.Sub(w.at), all.Sub(w.at)
	return w, err
}

// said waits until every import names the provider that is out of reach.
func (b *bench) said(ctx context.Context, since time.Time) (time.Duration, error) {
	at, err := b.await(ctx, "Unreachable", b.services)
	return at.Sub(since), err
}

func (b *bench) comeBack(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	b.link.Set(link.Passing, 0)
	_, all, err := b.held(ctx, b.services)
	return all.Sub(began), err
}

// await waits until so many imports have a condition that is true, and returns when.
func (b *bench) await(ctx context.Context, condition string, want int) (at time.Time, err error) {
	err = drive.Poll(ctx, 200*time.Millisecond, 10*time.Minute, func(ctx context.Context) error {
		list := &mcs.ServiceImportList{}
		if err := b.members["c"].mcs.Get().Namespace(namespace).Resource(mcs.ServiceImportPluralName).Do(ctx).Into(list); err != nil {
			return err
		}
		count := 0
		for i := range list.Items {
			if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, condition) {
				count++
			}
		}
		if count != want {
			return fmt.Errorf("%d of %d imports are %s", count, want, condition)
		}
		at = time.Now()
		return nil
	})
	return at, err
}
