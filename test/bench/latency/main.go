// Latency measures how fast a change in one cluster arrives in another, on real clusters: `go run ./test/bench/latency`.
//
// It measures one change at a time, with nothing else going on, from the moment at which the API server was asked for the
// change or had answered it:
//
//   - a new ServiceImport, until a curl from a pod of the importing cluster is answered by a pod of the exporting one; the
//     name was never asked before, and kube-proxy, on its defaults, last wrote its rules over a second ago;
//   - a pod that becomes unready or ready, until the importing cluster's CoreDNS says so (asked without cache), and until
//     kube-proxy's rules do;
//   - at rest, how many requests of the controller change anything.
//
// It needs root, for packets.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/demo/manifests"
)

func main() {
	runs := flag.Int("runs", 15, "how often each change is made")
	rest := flag.Duration("rest", time.Minute, "how long to count requests at rest")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *runs, *rest); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

// plainDNS is a server block that asks the plugin without the cache.
const plainDNS = `
clusterset.local:5353 {
    errors
    multicluster clusterset.local
}
`

func run(ctx context.Context, runs int, rest time.Duration) error {
	set, err := clusterset.New(ctx, clusterset.Options{
		Clusters: []clusterset.ClusterOptions{{Name: "provider", AuditLog: true}, {Name: "consumer", AuditLog: true}},
		Packets:  true,
		Corefile: manifests.Corefile + plainDNS,
		Progress: func(step string) { fmt.Fprintln(os.Stderr, step) },
		BuildLog: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer set.Close()
	if err := set.StartController("--automatic-imports=false"); err != nil {
		return err
	}
	b, err := newBench(ctx, set)
	if err != nil {
		return err
	}
	// Pods first: with more services of the same pods, a change of one would be a change of many, and kube-proxy waits a
	// second between two syncs.
	if err := b.pods(ctx, runs); err != nil {
		return fmt.Errorf("measuring pods: %w\n%s", err, set.ControllerLog())
	}
	if err := b.imports(ctx, runs); err != nil {
		return fmt.Errorf("measuring imports: %w\n%s", err, set.ControllerLog())
	}
	return b.atRest(ctx, rest)
}

// report prints one line of the table.
func report(what string, durations []time.Duration) {
	slices.Sort(durations)
	at := func(quantile float64) float64 {
		return float64(durations[int(quantile*float64(len(durations)-1)+0.5)].Microseconds()) / 1000
	}
	fmt.Printf("%-62s median %7.1f ms   p90 %7.1f ms   max %7.1f ms   (%d runs)\n", what, at(0.5), at(0.9), at(1), len(durations))
}
