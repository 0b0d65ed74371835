package main

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// settle is how long a server is left alone before its memory is read.
const settle = 5 * time.Second

// sample returns questions that together tell whether everything is known, with the right answers.
func sample(set *clusterset) (qs []question, messages [][]byte, err error) {
	add := func(name string, qtype uint16, expect func(*dns.Msg) error) error {
		packed, err := new(dns.Msg).SetQuestion(name, qtype).Pack()
		qs = append(qs, question{row: name, tcp: true, expect: expect})
		messages = append(messages, packed)
		return err
	}
	for i := 0; i < set.clusterSetIP && err == nil; i += max(set.clusterSetIP/200, 1) {
		err = add(fqdn("", webName(i)), dns.TypeA, records(1))
	}
	for i := 0; i < set.headless && err == nil; i += max(set.headless/10, 1) {
		err = add(fqdn("", dbName(i)), dns.TypeA, records(headlessClusters*headlessEach))
	}
	return qs, messages, err
}

// awaitSync returns when every question of the sample is answered right.
func (s *server) awaitSync(ctx context.Context, set *clusterset) error {
	qs, messages, err := sample(set)
	for i := 0; i < len(qs) && err == nil; i++ {
		err = s.await(ctx, func() error { return s.check(qs[i], messages[i]) })
	}
	return err
}

// await returns when ready does without an error.
func (s *server) await(ctx context.Context, ready func() error) error {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil || s.process.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", s.name, err)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// synced is what it took a server to know everything.
type synced struct {
	took, cpu       time.Duration
	rss, peak, heap int
}

func measureSync(ctx context.Context, set *clusterset, dir string, all ...contender) error {
	const runs = 3
	results := make([][]synced, len(all))
	for range runs {
		for i, c := range all {
			r, err := c.sync(ctx, set, dir)
			if err != nil {
				return err
			}
			results[i] = append(results[i], r)
		}
	}
	row := func(what, format string, value func(synced) float64, reach string) {
		fmt.Printf("| %s |", what)
		for i := range results {
			sorted := make([]time.Duration, runs)
			for j, r := range results[i] {
				sorted[j] = time.Duration(value(r) * 1e6)
			}
			fmt.Printf(" "+format+" |", float64(median(sorted))/1e6)
		}
		fmt.Printf(" %s |\n", reach)
	}
	const mib = 1 << 20
	fmt.Printf("| knowing everything, median of %d | stock | ours | to reach |\n|---|---|---|---|\n", runs)
	row("RSS after it (MiB)", "%.0f", func(r synced) float64 { return float64(r.rss) / mib }, "<= 120")
	row("peak RSS (MiB)", "%.0f", func(r synced) float64 { return float64(r.peak) / mib }, "<= 160")
	row("live heap (MiB)", "%.1f", func(r synced) float64 { return float64(r.heap) / mib }, "<= 20")
	row("process start to all answers right (s)", "%.2f", func(r synced) float64 { return r.took.Seconds() }, "<= 1.2")
	row("CPU until then (s)", "%.2f", func(r synced) float64 { return r.cpu.Seconds() }, "<= 1.2")
	fmt.Println()
	return nil
}

// sync starts a contender twice: as it is, and once more with profiles, for its heap.
func (c contender) sync(ctx context.Context, set *clusterset, dir string) (r synced, err error) {
	s, err := c.start(dir, false)
	if err != nil {
		return r, err
	}
	defer s.stop()
	if err := s.awaitSync(ctx, set); err != nil {
		return r, err
	}
	r.took = time.Since(s.began)
	if r.cpu, err = s.process.CPU(); err != nil {
		return r, err
	}
	<-time.After(settle)
	if r.rss, r.peak, err = s.process.Memory(); err != nil {
		return r, err
	}
	s.stop()
	if s, err = c.start(dir, true); err != nil {
		return r, err
	}
	defer s.stop()
	if err := s.awaitSync(ctx, set); err != nil {
		return r, err
	}
	r.heap, err = s.liveHeap()
	return r, err
}
