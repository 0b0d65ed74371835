package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProgram: the program itself goes on after a failure, names every target in its report, and fails if any failed.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "nightly")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	makefile := "good: ; @echo the good ran\nbad: ; @echo the bad ran; exit 7\nbetter: ; @echo the better ran\n"
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string // a regular expression
	}{
		"all pass": {[]string{"good", "better"}, 0, `(?s)the good ran.*the better ran.*\n` +
			`began .*\n\S+ +\S+  passed  good\n\S+ +\S+  passed  better\nnightly: 2 of 2 passed`},
		"one fails": {[]string{"good", "bad", "better"}, 1, `(?s)the bad ran.*the better ran.*\n` +
			`began .*\n\S+ +\S+  passed  good\n\S+ +\S+  FAILED  bad: exit status 2\n\S+ +\S+  passed  better\nnightly: 2 of 3 passed`},
		"no such target": {[]string{"none", "good"}, 1, `FAILED  none: exit status 2\n.*passed  good\nnightly: 1 of 2 passed`},
		"no target":      {nil, 2, `no target is given`},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, c.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "MAKEFLAGS=")
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !regexp.MustCompile(c.want).Match(out) {
				t.Errorf("got %d (%v), want %d and %s:\n%s", code, err, c.code, c.want, out)
			}
		})
	}
}

// TestInterrupted: after an interrupt nothing more is started, and what did not run has not passed.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ran []string
	results := run(ctx, io.Discard, []string{"a", "b", "c"}, func(_ context.Context, target string) error {
		ran = append(ran, target)
		if target == "b" {
			cancel()
			return errors.New("ended")
		}
		return nil
	})
	if want := []string{"a", "b"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	var out bytes.Buffer
	if report(&out, results) || !strings.Contains(out.String(), "FAILED  c: not run: interrupted\n") || !strings.Contains(out.String(), "1 of 3 passed") {
		t.Errorf("got the report\n%s", out.String())
	}
}

// TestLimit: a target that hangs, and what it started, ends at the limit.
func TestLimit(t *testing.T) {
	pipe, child, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	err = command(t.Context(), 3*time.Second, 100*time.Millisecond, child, "sh", "-c", "trap '' TERM; echo $$; sleep 1000 & wait")
	child.Close()
	if want := "took longer than 3s"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	// The pipe ends when no process has it open.
	if out, err := io.ReadAll(pipe); err != nil || len(bytes.Fields(out)) != 1 {
		t.Errorf("got %q, %v", out, err)
	}
	if err := command(t.Context(), time.Minute, time.Minute, io.Discard, "false"); fmt.Sprint(err) != "exit status 1" {
		t.Errorf("got %v", err)
	}
	if err := command(t.Context(), time.Minute, time.Minute, io.Discard, "/no/such/program"); err == nil {
		t.Error("a program that does not exist passes")
	}
}
