// Nightly runs what takes too long for each change: it makes each target that it is given, whatever became of those before, and
// says at the end what ran when, how long it took and how it ended. It fails if any did. The targets are in the Makefile:
//
//	nightly [-limit DURATION] TARGET...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// clock is how the report tells times of the day.
const clock = "15:04:05"

func main() {
	limit := flag.Duration("limit", 2*time.Hour, "how long one target may take")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "nightly: no target is given")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	makeTarget := func(ctx context.Context, target string) error {
		return command(ctx, *limit, 30*time.Second, os.Stdout, "make", target)
	}
	results := run(ctx, os.Stdout, flag.Args(), makeTarget)
	if !report(os.Stdout, results) {
		os.Exit(1)
	}
}

// A result is how one target ended.
type result struct {
	target string
	began  time.Time
	took   time.Duration
	err    error
}

// run makes the targets one after the other. When ctx ends, those that are left fail without having run.
func run(ctx context.Context, out io.Writer, targets []string, makeTarget func(context.Context, string) error) []result {
	var results []result
	for _, target := range targets {
		r := result{target: target, began: time.Now()}
		if ctx.Err() != nil {
			r.err = errors.New("not run: interrupted")
		} else {
			fmt.Fprintf(out, "\n=== %s (%s)\n", target, r.began.Format(clock))
			r.err = makeTarget(ctx, target)
			r.took = time.Since(r.began)
		}
		results = append(results, r)
	}
	return results
}

// command runs a program for at most limit, and then leaves it the grace to end. It has a process group of its own, of which
// nothing is left.
func command(ctx context.Context, limit, grace time.Duration, out io.Writer, name string, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what outlived the program, if anything
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// report prints one line for each result and one for all, and returns whether all passed.
func report(out io.Writer, results []result) bool {
	passed := 0
	fmt.Fprintf(out, "\n%-9s %9s  %-7s %s\n", "began", "took", "result", "target")
	for _, r := range results {
		verdict, why := "passed", ""
		if r.err == nil {
			passed++
		} else {
			verdict, why = "FAILED", ": "+r.err.Error()
		}
		fmt.Fprintf(out, "%-9s %9s  %-7s %s%s\n", r.began.Format(clock), r.took.Round(time.Second), verdict, r.target, why)
	}
	fmt.Fprintf(out, "nightly: %d of %d passed (%s)\n", passed, len(results), time.Now().Format(time.DateTime))
	return passed == len(results)
}
