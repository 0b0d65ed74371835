package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/clusterset/multicluster/test/programs"
)

// startController runs the controller's program over both clusters.
func (b *bench) startController() (err error) {
	args := []string{"--workers", strconv.Itoa(b.workers)}
	for _, m := range []*member{b.provider, b.consumer} {
		args = append(args, "--cluster", m.Name()+"="+m.Kubeconfig())
	}
	b.controller, err = programs.Start(b.program, args...)
	return err
}

// signal pauses the controller or lets it go on.
func (b *bench) signal(s syscall.Signal) { _ = syscall.Kill(b.controller.PID(), s) }

// memory prints how much the controller has.
func (b *bench) memory(when string) error {
	rss, _, err := b.controller.Memory()
	if err != nil {
		return err
	}
	row(when, "RSS %d MiB (to reach: 150)", rss>>20)
	return nil
}

// each calls f for 0..n-1 with the given number of workers and returns the first error.
func each(ctx context.Context, n, workers int, f func(int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range todo {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case todo <- i:
		case <-ctx.Done():
		}
	}
	close(todo)
	wg.Wait()
	return context.Cause(ctx)
}

// poll calls check until it returns nil, and returns its last error after limit.
func poll(ctx context.Context, limit time.Duration, check func() error) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not within %s: %w", limit, err)
		}
	}
}
