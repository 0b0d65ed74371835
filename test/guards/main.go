// Guards takes each guard of SPEC L and X out of the code, one at a time, and sees that the test which names it fails:
// `make guards`. A test that passes without its guard holds nothing.
//
// A guard is named by its package and function, and its mutation by what that function then does (mutate.go), so that a guard
// outlives a redesign. The code itself is not touched: the compiler is given another text for one file (-overlay), in the
// tests and, by way of GOFLAGS, in the programs that they build.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/clusterset/multicluster/test/need"
	"github.com/clusterset/multicluster/test/programs"
)

func main() {
	only := flag.String("run", "", "only guards of SPEC lines that match this regular expression")
	in := flag.String("pkg", "", "only guards whose test is in a package that matches this regular expression")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *in); err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only, in string) error {
	lines, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	pkgs, err := regexp.Compile(in)
	if err != nil {
		return fmt.Errorf("-pkg: %w", err)
	}
	root, err := programs.Root(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "guards-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var unheld []error
	tried, start := 0, time.Now()
	for _, g := range guards {
		if !lines.MatchString(g.spec) || !pkgs.MatchString(g.pkg) {
			continue
		}
		began := time.Now()
		err := g.try(ctx, root, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		tried++
		verdict := "held: " + g.test + " fails without it"
		if err != nil {
			unheld = append(unheld, fmt.Errorf("%s, %s: %w", g.spec, g.what, err))
			verdict = "NOT HELD: " + err.Error()
		}
		fmt.Printf("%-4s %-66s %s (%.0f s)\n", g.spec, g.what, verdict, time.Since(began).Seconds())
	}
	fmt.Printf("%d guards, %d held by a test, in %v\n", tried, tried-len(unheld), time.Since(start).Round(time.Second))
	if tried == 0 {
		return fmt.Errorf("no guard matches -run %q -pkg %q", only, in)
	}
	return errors.Join(unheld...)
}

// try runs the guard's test without it.
func (g guard) try(ctx context.Context, root, dir string) error {
	d, err := g.at.find(root)
	if err != nil {
		return err
	}
	mutated, err := d.mutate(g.without)
	if err != nil {
		return err
	}
	replacement := filepath.Join(dir, filepath.Base(d.file))
	if err := os.WriteFile(replacement, mutated, 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{d.file: replacement}})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=15m", "-run", "^"+g.test+"$", "./"+g.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+path, "CGO_ENABLED=0", need.Require+"=") // what the machine lacks is skipped, and so noticed
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "no tests to run"):
		return fmt.Errorf("there is no test %s in %s", g.test, g.pkg)
	case err == nil:
		return fmt.Errorf("%s passes without it", g.test)
	case !strings.Contains(string(out), "--- FAIL: "+g.test), strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "building mcs-controller:"):
		return fmt.Errorf("%s did not run: %s", g.test, out)
	}
	return nil
}
