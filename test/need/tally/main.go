// Tally runs a command that runs tests, and says at its end which of them were skipped and why; see package need:
//
//	tally [-as NAME] COMMAND [ARGUMENT...]
//
// With a name it ends with one line in any case: "NAME: all passed" only if nothing was skipped. A tally inside another leaves
// the counting to the outer one.
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
	"path/filepath"
	"syscall"

	"github.com/clusterset/multicluster/test/need"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("tally", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("as", "", "what the last line calls the tests")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		fmt.Fprintln(stderr, "usage: tally [-as NAME] COMMAND [ARGUMENT...]")
		return 2
	}
	code, skips, err := count(ctx, flags.Args(), stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "tally:", err)
		return 2
	}
	if os.Getenv(need.Record) != "" {
		return code
	}
	if line := lastLine(*name, code, skips); line != "" {
		fmt.Fprintln(stdout, line)
	}
	return code
}

// count runs a command with a record of skipped tests, and returns its exit code and the record.
func count(ctx context.Context, command []string, stdout, stderr io.Writer) (code int, skips []need.Skip, err error) {
	if _, err := need.Required(os.Getenv(need.Require)); err != nil {
		return 0, nil, err
	}
	record := os.Getenv(need.Record)
	if record == "" {
		dir, err := os.MkdirTemp("", "tally-")
		if err != nil {
			return 0, nil, err
		}
		defer os.RemoveAll(dir)
		// A name that is new each time, so that no result of a test that reads it comes from Go's cache: a cached skip is not recorded.
		record = filepath.Join(dir, "skipped")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), need.Record+"="+record)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = max(exit.ExitCode(), 1) // -1 if a signal ended it
	case err != nil:
		return 0, nil, err
	}
	skips, err = need.ReadRecord(record)
	return code, skips, err
}

// lastLine says how the tests went. Without a name it only says which were skipped.
func lastLine(name string, code int, skips []need.Skip) string {
	line := need.Summary(skips)
	switch {
	case name == "":
		return line
	case code != 0 && line == "":
		return name + ": failed"
	case code != 0:
		return name + ": failed, and " + line
	case line == "":
		return name + ": all passed"
	}
	return name + ": passed, " + line
}
