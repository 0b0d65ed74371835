// Package drive is how the benchmarks drive clusters: many calls at a time, and waits for what they lead to. It measures
// nothing.
package drive

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Each calls f for 0 to n-1, so many at a time, and returns the first error, after which no more calls begin.
func Each(ctx context.Context, n, workers int, f func(ctx context.Context, i int) error) error {
	group, going := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error {
			if going.Err() != nil {
				return nil
			}
			return f(going, i)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// Poll asks for a condition, at once and then again and again, until it holds, and returns its last complaint if it does not
// within limit.
func Poll(ctx context.Context, every, limit time.Duration, condition func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, every, limit, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}
