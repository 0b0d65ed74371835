// Withdrawal measures how long the endpoints of a dead provider stay, with many services: `go run ./test/bench/withdrawal`.
//
// Two providers export the same services to one consumer. The packets of one of them begin to vanish, without any
// connection being closed; what counts is the time until the consumer holds none of its slices any more. Where they can be
// reached again, the time until all are back is printed, too. Times are those of the machine; the bare loop beside them, which
// deletes as many slices with as many workers, says what its API server can do at best.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// size is how much there is to withdraw, and how patiently.
type size struct {
	services  int
	endpoints int
	workers   int
	grace     time.Duration
}

func main() {
	var s size
	flag.IntVar(&s.services, "services", 2000, "how many services both providers export")
	flag.IntVar(&s.endpoints, "endpoints", 5, "endpoints of each service in each provider")
	flag.IntVar(&s.workers, "workers", 16, "names worked on at once, by the controller and by the bare loop")
	flag.DurationVar(&s.grace, "grace", 10*time.Second, "the grace period")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench-withdrawal:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, s size) (err error) {
	b, err := setUp(ctx, s)
	if err != nil {
		return err
	}
	defer b.tearDown()
	defer func() {
		if err != nil && b.controller != nil {
			err = fmt.Errorf("%w\n%s", err, b.controller.Log())
		}
	}()
	fmt.Printf("%d services of %d endpoints in each of two providers; grace period %s, %d workers.\n\n", s.services, s.endpoints, s.grace, s.workers)
	rate, err := b.bareLoop(ctx)
	if err != nil {
		return fmt.Errorf("the bare loop: %w", err)
	}
	if err := b.importAll(ctx); err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	gone, err := b.vanish(ctx)
	if err != nil {
		return fmt.Errorf("withdrawing: %w", err)
	}
	row("bare loop of as many deletions", "%.1f s", (float64(s.services) / rate))
	row("packets vanish → first slice gone", "%.1f s: grace %+.1f s", gone.first.Seconds(), (gone.first - s.grace).Seconds())
	row("packets vanish → all slices gone", "%.1f s: grace %+.1f s  (to reach: +2)", gone.all.Seconds(), (gone.all - s.grace).Seconds())
	row("deletions from first to last", "%.1f s", (gone.all - gone.first).Seconds())
	said, err := b.said(ctx, gone.at)
	if err != nil {
		return err
	}
	row("packets vanish → every import says so", "%.1f s", said.Seconds())
	back, err := b.comeBack(ctx)
	if err != nil {
		return fmt.Errorf("coming back: %w", err)
	}
	row("packets pass → all slices back", "%.1f s (stable period %s)", back.Seconds(), stable)
	return nil
}

func row(what, format string, args ...any) {
	fmt.Printf("%-40s %s\n", what, fmt.Sprintf(format, args...))
}
