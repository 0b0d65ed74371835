// Command scale says what many clusters cost, for `make scale`: one consumer with a real API server and a real CoreDNS, the
// controller in the role of a member, and any number of provider clusters that are simulated by package provider. It measures
// one size after the other and prints a table, which docs/sizing.md explains.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/clusterset/multicluster/test/programs"
)

// size is how much there is.
type size struct {
	providers int
	exports   int // names
	exporters int // clusters that export each name
	settings
}

// settings are what all sizes have in common.
type settings struct {
	services  int // per provider, exported or not
	endpoints int // per Service and cluster
	changes   int // of slices, at rate
	rate      int // changes a second
	rest      time.Duration
	grace     time.Duration
}

func main() {
	var all settings
	sizes := flag.String("sizes", "2x500,20x500,200x500,2x5000,20x5000,200x5000", "`sizes` to measure, one after the other: providers x exported names")
	exporters := flag.Int("exporters", 4, "clusters that export each name")
	flag.IntVar(&all.services, "services", 1000, "Services of each provider, exported or not")
	flag.IntVar(&all.endpoints, "endpoints", 5, "endpoints of each Service in each cluster")
	flag.IntVar(&all.changes, "changes", 2000, "how many slices change")
	flag.IntVar(&all.rate, "rate", 200, "changes a second")
	flag.DurationVar(&all.rest, "rest", 20*time.Second, "how long to look at the controller at rest")
	flag.DurationVar(&all.grace, "grace", 20*time.Second, "grace and stable period of the controller")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *sizes, *exporters, all); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// run measures the sizes and prints the table of all of them, also of those before one that failed.
func run(ctx context.Context, sizes string, exporters int, all settings) error {
	var done []*report
	defer func() { printTable(os.Stdout, done) }()
	built, err := programs.Build(ctx, os.Stderr, "cmd/mcs-controller", "cmd/coredns")
	if err != nil {
		return err
	}
	for text := range strings.SplitSeq(sizes, ",") {
		s := size{settings: all}
		if n, err := fmt.Sscanf(text, "%dx%d", &s.providers, &s.exports); n != 2 || err != nil || s.providers < 1 || s.exports < 1 {
			return fmt.Errorf("-sizes %s: want providers x names, such as 20x500,200x5000", sizes)
		}
		if s.providers > 200 {
			return fmt.Errorf("-sizes %s: more than 200 providers have no addresses", sizes)
		}
		s.exporters = min(exporters, s.providers)
		r := newReport(s)
		if err := measure(ctx, s, built, r); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		done = append(done, r)
	}
	return nil
}

// measure takes all figures of one size, of the programs that were built.
func measure(ctx context.Context, s size, built []string, r *report) error {
	b, err := setUp(ctx, s, built[0], built[1])
	if err != nil {
		return err
	}
	defer b.tearDown()
	for _, phase := range []struct {
		name string
		run  func(context.Context, *report) error
	}{
		{"importing", b.importAll}, {"at rest", b.atRest}, {"changing", b.change}, {"outage", b.outage}, {"restarting", b.restart},
	} {
		during, end := context.WithTimeout(ctx, patience)
		err := phase.run(during, r)
		end()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", phase.name, err, b.controller.Log())
		}
	}
	return nil
}
