// Command dns measures coredns with the plugin multicluster beside stock CoreDNS of the same version, for `make bench-dns`:
// the CPU time that a query costs the server, as a ratio to the least that CoreDNS can do, memory, how long it takes to know
// everything, and how fast a change shows. Both run in one interleaved run against one real API server with the same
// objects, because machines and their moods differ. The figures to trust are ratios.
//
// github.com/coredns/multicluster, the other plugin of this kind, is not measured: no module of it could be had.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options say how much there is, and how long it is looked at.
type options struct {
	clusterSetIP int // services with two slices of five endpoints
	headless     int // services with three slices of a hundred endpoints
	rounds       int // of each question, for each server by turns
	slot         time.Duration
	changes      int
	parts        string
}

func main() {
	var o options
	flag.IntVar(&o.clusterSetIP, "clustersetip", 10000, "ClusterSetIP services, of 2 clusters with 5 endpoints each")
	flag.IntVar(&o.headless, "headless", 100, "headless services, of 3 clusters with 100 endpoints and 3 ports each")
	flag.IntVar(&o.rounds, "rounds", 9, "how often each question is asked, each server in turn")
	flag.DurationVar(&o.slot, "slot", time.Second, "for how long each time")
	flag.IntVar(&o.changes, "changes", 400, "changes of which the latency is measured")
	flag.StringVar(&o.parts, "parts", "sync,queries,changes,relist", "what to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-dns:", err)
		os.Exit(1)
	}
}
