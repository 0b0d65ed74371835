// Command controller measures mcs-controller against real API servers, for `make bench-controller`: how fast a clusterset is
// imported beside a bare loop that sends the same writes, what a change and a restart cost, how long a change takes, and how
// much memory all of it needs. Figures are ratios and counts of one run, because machines differ.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

// size is how much there is to import.
type size struct {
	services  int // per cluster
	endpoints int // per service
	exported  int // of the services of the provider
	changes   int // of slices, one after the other
	workers   int
	loop      bool // measure the bare loop, too
}

func main() {
	var s size
	flag.IntVar(&s.services, "services", 5000, "Services in each of the two clusters")
	flag.IntVar(&s.endpoints, "endpoints", 10, "endpoints of each Service, in one slice")
	flag.IntVar(&s.exported, "exported", 2000, "how many Services the provider exports")
	flag.IntVar(&s.changes, "changes", 300, "how many slices are changed, one after the other")
	flag.IntVar(&s.workers, "workers", 4, "names worked on at once per cluster, by the controller and by the loop")
	flag.BoolVar(&s.loop, "loop", true, "measure a bare loop of the same writes, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench-controller:", err)
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

	fmt.Printf("Two clusters with %d Services of %d endpoints each; %d exported by one, imported by both; %d workers per cluster.\n\n",
		s.services, s.endpoints, s.exported, s.workers)

	imported, err := b.importAll(ctx)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	row("import whole", "%d writes in %.1f s: %.0f/s", imported.writes, imported.took.Seconds(), imported.rate())
	if err := b.memory("memory with all imported"); err != nil {
		return err
	}
	if s.loop {
		looped, err := b.loop(ctx)
		if err != nil {
			return fmt.Errorf("the bare loop: %w", err)
		}
		row("bare loop, same writes", "%d writes in %.1f s: %.0f/s", looped.writes, looped.took.Seconds(), looped.rate())
		row("ratio", "%.0f%%  (to reach: 80%%)", 100*imported.rate()/looped.rate())
	}

	change, err := b.change(ctx)
	if err != nil {
		return fmt.Errorf("changing slices: %w", err)
	}
	row("writes per changed slice", "%.2f per consumer (to reach: 1)", float64(change.writes)/float64(2*s.changes))
	for _, r := range []struct {
		what    string
		times   []time.Duration
		toReach string
	}{
		{"change to write, above the watch", change.written, "  (to reach: 5ms, 25ms)"},
		{"  of that, until it was sent", change.sent, ""},
		{"change to the consumer's watch", change.shown, ""},
		{"a bare write to its watch event", change.bare, ""},
	} {
		slices.Sort(r.times)
		row(r.what, "p50 %s  p99 %s%s", quantile(r.times, 0.50), quantile(r.times, 0.99), r.toReach)
	}
	if err := b.memory("memory after the changes"); err != nil {
		return err
	}

	writes, err := b.restart(ctx)
	if err != nil {
		return fmt.Errorf("restarting: %w", err)
	}
	row("restart with everything in place", "%d mutating requests (to reach: 0)", writes)
	if err := b.memory("memory after the restart"); err != nil {
		return err
	}
	return nil
}

func row(what, format string, args ...any) {
	fmt.Printf("%-34s %s\n", what, fmt.Sprintf(format, args...))
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// throughput is a number of writes and the time that they took.
type throughput struct {
	writes int
	took   time.Duration
}

func (t throughput) rate() float64 { return float64(t.writes) / t.took.Seconds() }
