package controlplane

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestFaults does to one cluster all that can be done to it. Each part leaves it whole for the next.
func TestFaults(t *testing.T) {
	start := time.Now()
	c := ForTest(t, Options{ControllerManager: true})
	t.Logf("one cluster was ready after %s", time.Since(start).Round(100*time.Millisecond))
	createNamespace(t, c, "kept")

	t.Run("killed", func(t *testing.T) { testDown(t, c, c.KillAPIServer) })
	t.Run("stopped", func(t *testing.T) {
		running := c.apiServer
		testDown(t, c, c.StopAPIServer)
		if state := running.cmd.ProcessState; !state.Success() {
			t.Errorf("it ended with %q, not in good order", state)
		}
	})
	t.Run("paused", func(t *testing.T) { testPaused(t, c) })
	t.Run("started twice", func(t *testing.T) {
		if err := c.StartAPIServer(t.Context()); err == nil || !strings.Contains(err.Error(), "it is running") {
			t.Errorf("starting it while it runs gave error %v", err)
		}
	})
	t.Run("wiped", func(t *testing.T) { testWiped(t, c) })
}

// testDown takes the API server down, and holds that it comes back on the same port with the same data.
func testDown(t *testing.T, c *Cluster, takeDown func() error) {
	watch, err := c.client.CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for range watch.ResultChan() {
		}
	}()
	if err := takeDown(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("a watch is open although the server is down")
	}
	if err := getKept(t.Context(), c); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a request while it is down gave error %v, want connection refused", err)
	}
	if err := takeDown(); !errors.Is(err, errNotRunning) {
		t.Errorf("taking it down once more gave error %v", err)
	}
	start := time.Now()
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was back after %s", time.Since(start).Round(100*time.Millisecond))
	if err := getKept(t.Context(), c); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func testPaused(t *testing.T, c *Cluster) {
	if err := c.PauseAPIServer(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := getKept(short, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request while it is paused gave error %v, want none until its deadline", err)
	}
	if err := c.ResumeAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := getKept(t.Context(), c); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

func testWiped(t *testing.T, c *Cluster) {
	if err := c.WipeEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := getKept(t.Context(), c); !apierrors.IsNotFound(err) {
		t.Errorf("reading what was wiped gave error %v, want not found", err)
	}
	createNamespace(t, c, "after") // which the controller manager sees
	eventually(t, func(ctx context.Context) error {
		_, err := c.client.CoreV1().ServiceAccounts("after").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// getKept reads an object over a connection of its own.
func getKept(ctx context.Context, c *Cluster) error {
	_, err := c.client.CoreV1().Namespaces().Get(ctx, "kept", metav1.GetOptions{})
	return err
}

// TestStartFails: what a component says about why it does not start reaches the caller, and nothing is left.
func TestStartFails(t *testing.T) {
	for _, test := range []struct {
		name string
		opts Options
		want []string
	}{
		{"API server", Options{Name: "a", ExtraArgs: map[string][]string{"kube-apiserver": {"--no-such-flag"}}},
			[]string{"starting cluster a", "kube-apiserver", "unknown flag: --no-such-flag"}},
		{"etcd", Options{ExtraArgs: map[string][]string{"etcd": {"--data-dir=/dev/null/data"}}},
			[]string{"etcd ended", "the log of etcd", "not a directory"}},
		{"service range", Options{ServiceCIDRs: []string{"10.0.0.0"}}, []string{"service ranges", "10.0.0.0"}},
		{"bind address", Options{BindAddress: "localhost"}, []string{"bind address", "localhost"}},
		{"bind address of another machine", Options{BindAddress: "192.0.2.1"}, []string{"192.0.2.1", "cannot assign"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			c, err := Start(t.Context(), test.opts)
			if err == nil {
				c.Stop()
				t.Fatal("it started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if left := scratches(t); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}
