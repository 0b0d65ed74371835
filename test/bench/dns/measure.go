package main

import (
	"cmp"
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
			err = measureChanges(ctx, set, dir, floor, stock, ours)
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
		var floor []time.Duration
		ratios := make([][]float64, len(servers)) // to the floor of the same round: moods of the machine last longer
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
				if i == 0 {
					floor = append(floor, perQuery)
				}
				ratios[i] = append(ratios[i], float64(perQuery)/float64(floor[len(floor)-1]))
			}
		}
		fmt.Printf("| %s | %.1f us | %.2f | %.2f | <= %.2f |\n", q.row, float64(median(floor))/1e3, median(ratios[1]), median(ratios[2]), q.reach)
	}
	fmt.Println()
	return nil
}

func median[T cmp.Ordered](all []T) T { return quantile(all, 0.5) }

// quantile returns the value that a part p of all stays below, 0 < p < 1.
func quantile[T cmp.Ordered](all []T, p float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
