// Chaos hurts a clusterset at random and checks what must hold all along; see package chaos. It needs root, for packets.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/clusterset/multicluster/test/chaos"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "which faults hit which clusters; the same again for the same number")
	count := flag.Int("faults", 40, "the number of faults, one after the other, of some seconds each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Printf("chaos: seed %d, %d faults\n", *seed, *count)
	report, err := chaos.Run(ctx, chaos.Options{Seed: *seed, Faults: *count, BuildLog: os.Stderr, Progress: func(step string) {
		fmt.Printf("%s  %s\n", time.Now().Format(chaos.Clock), step)
	}})
	fmt.Printf("\n%s\n", report)
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: broken (seed %d): %v\n", *seed, err)
		os.Exit(1)
	}
	fmt.Println("chaos: everything held")
}
