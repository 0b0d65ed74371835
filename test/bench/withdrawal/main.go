// Withdrawal measures how long the endpoints of a dead provider stay, with many services: `go run ./test/bench/withdrawal`.
//
// Two providers export the same services to one consumer, which is a real API server; the providers are simulated, since
// those of a consumer run on other machines. The packets of one of them begin to vanish, without any connection being closed;
// what counts is the time until the consumer holds none of its slices any more. Then they pass again, until all are back. Each
// round begins with a bare loop that deletes as many slices with as many workers: it says what this API server can do on
// this machine in that minute.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// size is how much there is to withdraw, and how patiently.
type size struct {
	services  int
	endpoints int
	workers   int
	grace     time.Duration
	rounds    int
}

func main() {
	var s size
	flag.IntVar(&s.services, "services", 2000, "how many services both providers export")
	flag.IntVar(&s.endpoints, "endpoints", 5, "endpoints of each service in each provider")
	flag.IntVar(&s.workers, "workers", 32, "names worked on at once, by the controller and by the bare loop")
	flag.DurationVar(&s.grace, "grace", 30*time.Second, "the grace period")
	flag.IntVar(&s.rounds, "rounds", 5, "how often the provider dies")
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-b.controller.Done()
		cancel(b.controller.Err())
	}()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, b.controller.Log())
		}
	}()
	fmt.Printf("%d services of %d endpoints in each of two providers; grace period %s, %d workers; a column per round.\n\n", s.services, s.endpoints, s.grace, s.workers)
	if err := b.importAll(ctx); err != nil {
		return err
	}
	var rounds []round
	for n := range s.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", n+1, s.rounds)
		r, err := b.round(ctx)
		if err != nil {
			return fmt.Errorf("round %d: %w", n+1, err)
		}
		rounds = append(rounds, r)
	}
	row(rounds, "bare loop of as many deletions", "s", func(r round) string { return seconds(r.bare) })
	row(rounds, "packets vanish → first slice gone", "s after the grace period", func(r round) string { return since(r.first, s.grace) })
	row(rounds, "packets vanish → all slices gone", "s after the grace period; to reach: +2", func(r round) string { return since(r.all, s.grace) })
	row(rounds, "deletions from first to last", "s", func(r round) string { return seconds(r.all - r.first) })
	row(rounds, "packets vanish → every import says so", "s", func(r round) string { return seconds(r.said) })
	row(rounds, "packets pass → all slices back", fmt.Sprintf("s; stable period %s", stable), func(r round) string { return seconds(r.back) })
	row(rounds, "CPU of the controller, first to last", "s", func(r round) string { return seconds(r.cpu) })
	return nil
}

func row(rounds []round, what, unit string, figure func(round) string) {
	var figures strings.Builder
	for _, r := range rounds {
		fmt.Fprintf(&figures, "%7s", figure(r))
	}
	fmt.Printf("%-38s%s  %s\n", what, &figures, unit)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

func since(d, grace time.Duration) string { return fmt.Sprintf("%+.1f", (d - grace).Seconds()) }
