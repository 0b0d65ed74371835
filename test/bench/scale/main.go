// Command scale says what many clusters cost, for `make scale`: one consumer with a real API server, the controller in the
// role of a member, and any number of provider clusters that are simulated by package provider.
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

// size is how much there is.
type size struct {
	providers int
	services  int // per provider, exported or not
	exports   int // names
	exporters int // clusters that export each name
	endpoints int // per Service and cluster
	changes   int // of slices, at rate
	rate      int // changes a second
	rest      time.Duration
}

func main() {
	var s size
	flag.IntVar(&s.providers, "providers", 200, "provider clusters")
	flag.IntVar(&s.services, "services", 1000, "Services of each, exported or not")
	flag.IntVar(&s.exports, "exports", 5000, "names that are exported")
	flag.IntVar(&s.exporters, "exporters", 4, "clusters that export each name")
	flag.IntVar(&s.endpoints, "endpoints", 5, "endpoints of each Service in each cluster")
	flag.IntVar(&s.changes, "changes", 2000, "how many slices change")
	flag.IntVar(&s.rate, "rate", 200, "changes a second")
	flag.DurationVar(&s.rest, "rest", 30*time.Second, "how long to look at the controller at rest")
	flag.Parse()
	s.exporters = min(s.exporters, s.providers)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, s size) error {
	b, err := setUp(ctx, s)
	if err != nil {
		return err
	}
	defer b.tearDown()
	fmt.Printf("%d providers with %d Services each; %d names, each exported by %d of them with %d endpoints\n\n",
		s.providers, s.services, s.exports, s.exporters, s.endpoints)

	if err := b.importAll(ctx); err != nil {
		return fmt.Errorf("importing: %w\n%s", err, b.controller.Log())
	}
	if err := b.atRest(ctx); err != nil {
		return fmt.Errorf("at rest: %w", err)
	}
	latencies, err := b.change(ctx)
	if err != nil {
		return fmt.Errorf("changes: %w", err)
	}
	slices.Sort(latencies)
	row(fmt.Sprintf("a change, at %d/s", s.rate), "p50 %v  p99 %v  max %v", quantile(latencies, .5), quantile(latencies, .99), quantile(latencies, 1))

	synced, writes, err := b.restart(ctx)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	rss, _, err := b.controller.Memory()
	if err != nil {
		return err
	}
	row("restart", "in sync with all after %.1f s, %d writes for %d changes made meanwhile; RSS %d MiB", synced.Seconds(), writes, s.providers, rss>>20)
	return nil
}

func row(what, format string, args ...any) {
	fmt.Printf("%-40s %s\n", what, fmt.Sprintf(format, args...))
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))].Round(time.Millisecond)
}
