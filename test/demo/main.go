// Demo shows the walk-through on real clusters: `make demo`.
//
// It brings an exporting and an importing cluster up, applies the walk-through's YAML as its text has it, and shows every
// command of the text with its real output, down to the three curls from a pod in one cluster that pods in the other
// answer. It ends with one line that says whether all was as it should be, and with 0 only then. Everything is removed in
// the end; with -keep, when Ctrl-C is pressed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/clusterset/multicluster/test/need"
	"github.com/clusterset/multicluster/test/node"
)

func main() {
	keep := flag.Bool("keep", false, "leave both clusters up, to play with, until Ctrl-C")
	noPackets := flag.Bool("no-packets", false, "as without root: ask the names over DNS, but send nothing")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q; there are only flags: -keep, -no-packets\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	out := newScreen(os.Stdout)
	if err := run(ctx, out, *keep, *noPackets); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted; everything is removed")
		}
		out.result(false, err.Error())
		os.Exit(1)
	}
}

// run tells the story and removes everything.
func run(ctx context.Context, out *screen, keep, noPackets bool) error {
	packets := node.Check()
	if required, err := need.Required(os.Getenv(need.Require)); err != nil {
		return err
	} else if packets != nil && required[need.Packets.Name] {
		return packets
	}
	if noPackets {
		packets = errors.New("asked for by -no-packets")
	}
	s, err := newStory(ctx, out, packets)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.tell(ctx); err != nil {
		return err
	}
	out.result(true, s.summary())
	if keep {
		return s.stay(ctx)
	}
	return nil
}
