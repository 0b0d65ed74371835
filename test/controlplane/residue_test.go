package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopLeavesNothing: no process, no directory, no port.
func TestStopLeavesNothing(t *testing.T) {
	c, err := Start(t.Context(), Options{ControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if n := len(processesOf(t, c.dir)); n != 3 {
		t.Errorf("a cluster has %d processes, want etcd, kube-apiserver and kube-controller-manager", n)
	}
	c.Stop()
	if left := processesOf(t, c.dir); len(left) > 0 {
		t.Errorf("stopping left %q", left)
	}
	if exists(c.dir) {
		t.Errorf("stopping left %s", c.dir)
	}
	if err := c.StartAPIServer(t.Context()); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("starting the API server of a stopped cluster gave error %v", err)
	}
	c.Stop() // once more is no harm
}

// TestInterrupted: whatever ends a program that has a cluster, no process is left of that; and no directory, at the latest
// when the next cluster is started.
func TestInterrupted(t *testing.T) {
	for _, test := range []struct {
		signal      syscall.Signal
		directories int // left until the next start
	}{
		{syscall.SIGKILL, 1},
		{syscall.SIGTERM, 0},
		{syscall.SIGINT, 0},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			helper, dir := startHelper(t)
			if n := len(processesOf(t, dir)); n != 3 {
				t.Errorf("the helper's cluster has %d processes, want 3", n)
			}
			removeAbandoned()
			if !exists(dir) {
				t.Fatal("a start elsewhere removed the directory of a running cluster")
			}
			if err := helper.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			_ = helper.Wait()
			if status := helper.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != test.signal {
				t.Errorf("the helper ended with %s, not by %s", helper.ProcessState, test.signal)
			}
			eventually(t, func(context.Context) error {
				if left := processesOf(t, dir); len(left) > 0 {
					return fmt.Errorf("still there: %q", left)
				}
				return nil
			})
			if left := scratches(t); len(left) != test.directories {
				t.Errorf("%d directories are left, want %d: %q", len(left), test.directories, left)
			}
			removeAbandoned()
			if left := scratches(t); len(left) > 0 {
				t.Errorf("the next start left %q", left)
			}
		})
	}
}

const helperVariable = "CONTROLPLANE_TEST_HELPER"

// TestMain is the program that [TestInterrupted] interrupts, or runs the tests.
func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) == "" {
		os.Exit(m.Run())
	}
	stopOnSignal()
	c, err := Start(context.Background(), Options{ControllerManager: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(helperVariable + c.dir)
	select {}
}

// startHelper starts a cluster in another process, and returns that process and the directory of its cluster.
func startHelper(t *testing.T) (cmd *exec.Cmd, dir string) {
	t.Helper()
	if _, err := Build(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"=1")
	cmd.WaitDelay = time.Second
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var printed bytes.Buffer
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if _, dir, found := strings.Cut(lines.Text(), helperVariable); found {
			return cmd, dir
		}
		printed.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("the helper ended: %s", printed.String())
	return nil, ""
}

// processesOf returns the command lines of the processes that work in the directory of a cluster.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("looking for processes: found %d, error %v", len(files), err)
	}
	var found []string
	for _, file := range files {
		cmdline, _ := os.ReadFile(file) // it may have ended meanwhile
		if bytes.Contains(cmdline, []byte(dir)) {
			found = append(found, string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// scratches returns the directories of clusters, running or not.
func scratches(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPattern))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
