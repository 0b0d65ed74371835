package hostile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clusterset/multicluster/test/programs"
)

// Bounds of what a program may come to. At rest, they have 40 to 60 MiB.
const (
	mostMemory = 200 << 20
	mostLog    = 256 << 10
	patience   = 60 * time.Second
)

// built are the programs, by name.
var built = sync.OnceValues(func() (map[string]string, error) {
	names := []string{"mcs-controller", "mcsctl", "coredns"}
	paths, err := programs.Build(context.Background(), os.Stderr, "cmd/"+names[0], "cmd/"+names[1], "cmd/"+names[2])
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for i, name := range names {
		all[name] = paths[i]
	}
	return all, nil
})

// run runs a program until it ends, or until the liar was asked often enough for a lie, and returns what it printed and its
// peak of memory.
func run(t *testing.T, l *liar, enough int64, name string, args ...string) (printed string, peak int) {
	t.Helper()
	all, err := built()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(all[name], args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, programs.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
wait:
	for l.lies.Load() < enough {
		select {
		case <-ended:
			break wait
		case <-deadline:
			break wait
		case <-ticks.C:
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Errorf("%s does not end", name)
	}
	if l.lies.Load() == 0 {
		t.Errorf("the server was never asked:\n%s", out.String())
	}
	return out.String(), int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
}

// TestHostileServer_X6: whatever a member's API server answers, to whatever it is asked, a program's memory and log stay small,
// nothing of it follows a redirect, and what it prints is lines of its own.
func TestHostileServer_X6(t *testing.T) {
	commands := map[string]struct {
		to     []question
		enough int64 // lies
		args   func(kubeconfig string) []string
	}{
		"mcs-controller": {[]question{probe, get, list, watch}, 4, func(k string) []string {
			return []string{"--cluster", "c1=" + k, "--metrics-bind-address=0", "--health-probe-bind-address=0"}
		}},
		"coredns": {[]question{probe, list, watch}, 3, func(k string) []string {
			corefile := filepath.Join(filepath.Dir(k), "Corefile")
			_ = os.WriteFile(corefile, fmt.Appendf(nil, ".:0 {\n bind 127.0.0.1\n multicluster clusterset.local {\n kubeconfig %s\n startup_timeout 100ms\n }\n}\n", k), 0o600)
			return []string{"-conf", corefile}
		}},
		"mcsctl": {[]question{probe, get, list}, 1 << 40, func(k string) []string {
			return []string{"status", "--cluster", "c1=" + k}
		}},
	}
	lies := map[string]lie{"redirect": redirect, "bomb": bomb, "abuse": abuse, "headers": headers}
	for name, c := range commands {
		for _, to := range c.to {
			for what, tell := range lies {
				t.Run(name+"/"+string(to)+"/"+what, func(t *testing.T) {
					l := newLiar(t, to, tell)
					printed, peak := run(t, l, c.enough, name, c.args(l.kubeconfig(t))...)
					t.Logf("%d lies, %d MiB, printed %d bytes", l.lies.Load(), peak>>20, len(printed))
					if peak > mostMemory {
						t.Errorf("it took %d MiB", peak>>20)
					}
					if n := l.stray.Load(); n > 0 {
						t.Errorf("%d requests went elsewhere", n)
					}
					if len(printed) > mostLog {
						t.Errorf("it printed %d KiB", len(printed)>>10)
					}
					if strings.Contains(printed, "\x1b") || strings.Contains(printed, "\nlevel=") || strings.Contains(printed, token) || strings.Contains(printed, "keys of the kingdom") {
						t.Errorf("it printed:\n%.2000q", printed)
					}
				})
			}
		}
	}
}
