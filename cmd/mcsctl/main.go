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
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

// version is set by the linker.
var version = "unknown"

func main() {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go returns what it logs
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	// What client-go says, such as the warnings of API servers, is no less theirs.
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(screen.NewWriter(os.Stderr), nil)))
	os.Exit(command.Run(ctx, version, os.Args, os.Stdout, os.Stderr))
}
