// Command mcs-controller keeps every consuming cluster of a clusterset true to what its providers export.
//
// This package reads flags and wires: options.go is what can be asked for, log.go where its log goes, serve.go what is
// served to probes and Prometheus, lead.go who of several replicas works, engines.go what works then. What it does is in package controller.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/controller/exporting"
	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// version is set by the linker.
var version = "unknown"

// garbage is how much memory may be garbage before it is collected, in percent of what is in use: half of Go's default.
// What is in use is long-lived copies of API objects and takes most of the memory, while little garbage is made, so that
// this costs hardly any CPU. The variable GOGC goes before it.
const garbage = 50

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // something that ran failed
	exitUsage  = 2 // what was asked for can't be done
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "mcs-controller: %v (see mcs-controller --help)\n", err)
		return exitUsage
	case opts.version:
		fmt.Fprintf(stdout, "mcs-controller %s\n", version)
		return exitOK
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	log := newLog(stderr, opts)
	home, err := findHome(opts)
	if err == nil {
		err = opts.complete(home)
	}
	if err != nil {
		fmt.Fprintf(stderr, "mcs-controller: %v\n", err)
		return exitUsage
	}
	sources, err := opts.sources(home, log)
	if err != nil {
		fmt.Fprintf(stderr, "mcs-controller: %v\n", err)
		return exitUsage
	}
	if err := work(ctx, opts, home, sources, log); err != nil {
		log.Error("ended", "err", err)
		return exitFailed
	}
	log.Info("ended")
	return exitOK
}

// work runs everything until ctx ends.
func work(ctx context.Context, opts *options, home *home, sources []registration.Source, log *slog.Logger) error {
	log.Info("starting", "version", version, "clusterset", opts.clusterSet, "self", opts.self, "leaderElection", *opts.leaderElect)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := assemble(opts, home, log)
	if err != nil {
		return err
	}
	servers, err := serve(opts, home, p.set, p.lead, p.metrics, log)
	if err != nil {
		return err
	}
	defer servers.stop()

	done := make(chan error, 1)
	go func() {
		err := p.set.Run(ctx, sources...)
		cancel()
		done <- err
	}()
	err = p.lead.run(ctx, func(ctx context.Context) error {
		return p.set.Lead(ctx, func(ctx context.Context) error { return p.all.Run(ctx, p.set) })
	})
	cancel()
	return errors.Join(err, <-done)
}

// parts are what the program consists of.
type parts struct {
	all     engines
	set     *members.Set
	lead    *leadership
	metrics *prometheus.Registry // of all parts
}

// assemble makes the parts; nothing runs yet.
func assemble(opts *options, home *home, log *slog.Logger) (*parts, error) {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	engine := controller.New(controller.Options{
		ClusterSet: opts.clusterSet, Automatic: opts.automatic, Workers: opts.workers, Log: log, Prefer: mcsapi.ParseClusters(opts.prefer),
		Withdrawal: liveness.Policy(opts.withdrawal), Registerer: metrics,
	})
	all := engines{engine}
	if opts.byRule != nil {
		all = append(all, exporting.New(*opts.byRule, log))
	}
	set := members.NewSet(all, log, members.Options{
		ClusterSet: opts.clusterSet, Self: opts.self, UserAgent: "mcs-controller/" + version,
		Liveness:       liveness.Periods{Grace: opts.grace, Stable: opts.stable},
		LeaseNamespace: home.namespace,
	})
	metrics.MustRegister(members.NewCollector(set))
	lead, err := newLeadership(opts, home, log, metrics)
	if err != nil {
		return nil, err
	}
	return &parts{all, set, lead, metrics}, nil
}
