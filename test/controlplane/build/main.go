// Command build compiles the programs of the test control plane, if they are not there yet, and prints the directory
// they are in, fit for a PATH.
//
//	PATH=$(go run ./test/controlplane/build):$PATH kubectl version
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/clusterset/multicluster/test/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	binaries, err := controlplane.Build(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(binaries.Dir)
}
