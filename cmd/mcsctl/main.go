// Command mcsctl shows people their clusterset: what is exported and imported, whether it works, and if not, why.
// Installed as kubectl-mcs it is also `kubectl mcs`. What it does is in the packages beside it; package command is its
// command line.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/clusterset/multicluster/cmd/mcsctl/command"
)

// version is set by the linker.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)                      // a second signal ends the program at once
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go returns what it logs
	os.Exit(command.Run(ctx, version, os.Args, os.Stdout, os.Stderr))
}
