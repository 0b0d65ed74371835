// Package chaos hurts a clusterset at random while clients in every cluster use it, and checks all along what must hold
// whatever happens:
//
//   - a name with at least one live exporting cluster keeps resolving, and its requests are answered (SPEC L2, L4, L5);
//   - no request reaches a pod that was never exported (E1);
//   - the endpoints of a provider out of reach are withdrawn while another is left (L2), and come back with it (L7);
//   - at rest, what every cluster holds is what a fresh controller makes of the same exports (L3, L4, S5).
//
// Three clusters with real packets, one controller, one CoreDNS each. Which fault hits which cluster follows from a seed,
// so that a run can be repeated; when exactly something happens does not.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Options say what to do.
type Options struct {
	Seed     uint64
	Faults   int          // how many are injected
	Progress func(string) // is told each step; nil is silence
	BuildLog io.Writer    // gets what compiling prints; nil is silence
}

// Report is what was done and seen.
type Report struct {
	Faults      map[string]int // how often which was injected
	Withdrawals []time.Duration
	Tally
}

// Run brings the clusters up, injects the faults, and takes everything down. The error is one of the stage, or says which
// invariants were broken; the report is of use then, too.
func Run(ctx context.Context, opts Options) (report Report, err error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	report.Faults = map[string]int{}
	w, err := newWorld(ctx, opts)
	if err != nil {
		return report, fmt.Errorf("bringing the clusters up: %w", err)
	}
	defer w.close()
	if err := w.settle(ctx); err != nil {
		return report, fmt.Errorf("before the first fault: %w\n%s", err, w.controllerLog())
	}
	clients := startClients(ctx, w)
	defer func() {
		report.Tally = clients.stop(w.excuses)
		report.Withdrawals = w.withdrawals
		err = errors.Join(err, report.broken())
	}()
	random := rand.New(rand.NewPCG(opts.Seed, 0))
	for n := range opts.Faults {
		f, victim := faults[random.IntN(len(faults))], w.Clusters[random.IntN(len(w.Clusters))]
		if f.exportersOnly && !slices.Contains(exporters, victim.Name) {
			victim = w.Cluster(exporters[random.IntN(len(exporters))])
		}
		h := hurt{world: w, victim: victim, lasting: random.IntN(2) == 0, hold: time.Second + time.Duration(random.Int64N(int64(3*time.Second))), pick: random.IntN}
		opts.Progress(fmt.Sprintf("fault %d of %d: %s %s", n+1, opts.Faults, victim.Name, f.name))
		report.Faults[f.name]++
		if err := f.inject(ctx, h); err != nil {
			return report, fmt.Errorf("fault %d, %s %s: %w\n%s", n+1, victim.Name, f.name, err, w.controllerLog())
		}
		if err := w.settle(ctx); err != nil {
			return report, fmt.Errorf("after fault %d, %s %s: %w\n%s", n+1, victim.Name, f.name, err, w.controllerLog())
		}
	}
	opts.Progress("at rest: comparing with what a fresh controller makes")
	clientsAtRest := clients.pause()
	defer clientsAtRest()
	return report, w.compareWithFresh(ctx)
}

// String returns the report as people read it.
func (r Report) String() string {
	var b strings.Builder
	total := 0
	for _, name := range sorted(r.Faults) {
		total += r.Faults[name]
		fmt.Fprintf(&b, "  %-52s %4d\n", name, r.Faults[name])
	}
	fmt.Fprintf(&b, "  %-52s %4d\n", "faults in all", total)
	fmt.Fprintf(&b, "  %-52s %4d\n  %-52s %4d\n", "HTTP requests", r.Requests, "DNS queries", r.Queries)
	for _, reason := range sorted(r.Excused) {
		fmt.Fprintf(&b, "  %-52s %4d\n", "failed while "+reason, r.Excused[reason])
	}
	fmt.Fprintf(&b, "  %-52s %4d\n  %-52s %4d\n", "queries failed without a reason", len(r.Unresolved), "requests failed without a reason", len(r.Unanswered))
	fmt.Fprintf(&b, "  %-52s %4d\n", "answered by pods that were never exported", len(r.Trespasses))
	for _, d := range r.Withdrawals {
		fmt.Fprintf(&b, "  %-52s %v\n", fmt.Sprintf("withdrawn, with a grace period of %v, after", grace), d.Round(10*time.Millisecond))
	}
	for _, line := range r.Unanswered {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
