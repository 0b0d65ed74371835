package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func measure(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-dns-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(os.Stderr, "writing %d ClusterSetIP and %d headless services\n", o.clusterSetIP, o.headless)
	set, err := newClusterset(ctx, o)
	if err != nil {
		return err
	}
	defer set.cluster.Stop()
	floor, stock, ours, err := contenders(ctx, set.cluster.Kubeconfig(), dir)
	if err != nil {
		return err
	}
	fmt.Printf("%d ClusterSetIP services (2 clusters x %d endpoints), %d headless (%d clusters x %d endpoints x 3 ports), one API server.\n\n",
		o.clusterSetIP, clusterEndpoints, o.headless, headlessClusters, headlessEach)
	for _, part := range strings.Split(o.parts, ",") {
		switch part {
		case "sync":
			err = measureSync(ctx, set, dir, stock, ours)
		case "queries":
			err = measureQueries(ctx, set, dir, floor, stock, ours)
		case "changes":
			err = measureChanges(ctx, set, dir, stock, ours)
		case "relist":
			err = measureRelist(ctx, set, dir, stock, ours)
		default:
			err = fmt.Errorf("no part is called %q", part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// measureQueries prints the CPU time of each question as a ratio to the floor.
func measureQueries(ctx context.Context, set *clusterset, dir string, all ...contender) error {
	servers := make([]*server, len(all))
	for i, c := range all {
		s, err := c.start(dir, false)
		if err != nil {
			return err
		}
		defer s.stop()
		servers[i] = s
		if i > 0 {
			if err := s.awaitSync(ctx, set); err != nil {
				return err
			}
		}
	}
	fmt.Printf("| CPU per query, ratio to the floor | floor | stock | ours | to reach |\n|---|---|---|---|---|\n")
	for _, q := range questions {
		medians := make([]time.Duration, len(servers))
		times := make([][]time.Duration, len(servers))
		for range set.rounds {
			for i, s := range servers {
				messages, err := q.messages(set, 4096, i == 0)
				if err != nil {
					return err
				}
				if i > 0 {
					if err := s.check(q, messages[0]); err != nil {
						return err
					}
				}
				perQuery, err := ask(ctx, s, messages, q.tcp, set.slot)
				if err != nil {
					return err
				}
				times[i] = append(times[i], perQuery)
			}
		}
		for i := range times {
			medians[i] = median(times[i])
		}
		ratio := func(i int) float64 { return float64(medians[i]) / float64(medians[0]) }
		fmt.Printf("| %s | %.1f us | %.2f | %.2f | <= %.2f |\n", q.row, float64(medians[0])/1e3, ratio(1), ratio(2), q.reach)
	}
	fmt.Println()
	return nil
}

func median(all []time.Duration) time.Duration { return quantile(all, 0.5) }

// quantile returns the value that a part p of all stays below, 0 < p < 1.
func quantile(all []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
