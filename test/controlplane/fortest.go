package controlplane

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ForTest starts a cluster that is stopped when the test ends, or is interrupted. It fails the test if that is not
// possible, and shows what the components printed last if the test fails.
func ForTest(t testing.TB, opts Options) *Cluster {
	t.Helper()
	return AllForTest(t, opts)[0]
}

// AllForTest is [ForTest] for several clusters, started at once.
func AllForTest(t testing.TB, options ...Options) []*Cluster {
	t.Helper()
	stopOnSignal()
	ctx, cancel := withinDeadline(t)
	defer cancel()
	clusters, err := StartAll(ctx, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range clusters {
			if t.Failed() {
				c.logTo(t)
			}
			c.Stop()
		}
	})
	return clusters
}

var errTestDeadline = errors.New("the test's deadline is near; is it the first build? " +
	"`go run ./test/controlplane/build` does that beforehand")

// withinDeadline returns a context that ends in time to say so before the test's own deadline kills it.
func withinDeadline(t testing.TB) (context.Context, context.CancelFunc) {
	const margin = 5 * time.Second
	if limited, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := limited.Deadline(); ok {
			return context.WithDeadlineCause(t.Context(), deadline.Add(-margin), errTestDeadline)
		}
	}
	return context.WithCancel(t.Context())
}

func (c *Cluster) logTo(t testing.TB) {
	for _, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		if component != "kube-controller-manager" || c.opts.ControllerManager {
			t.Logf("cluster %s: the end of the log of %s:\n%s", c.opts.Name, component, c.Logs(component, 15))
		}
	}
}

// started holds the clusters that have not been stopped.
var started = struct {
	sync.Mutex
	clusters map[*Cluster]bool
}{clusters: map[*Cluster]bool{}}

func setStarted(c *Cluster, is bool) {
	started.Lock()
	defer started.Unlock()
	if is {
		started.clusters[c] = true
	} else {
		delete(started.clusters, c)
	}
}

func stopAll() {
	started.Lock()
	clusters := make([]*Cluster, 0, len(started.clusters))
	for c := range started.clusters {
		clusters = append(clusters, c)
	}
	started.Unlock()
	for _, c := range clusters {
		c.Stop()
	}
}

// stopOnSignal has SIGINT and SIGTERM stop all clusters before they do what they do to a test: end it.
var stopOnSignal = sync.OnceFunc(func() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig := <-signals
		stopAll()
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		_ = syscall.Kill(os.Getpid(), sig.(syscall.Signal))
	}()
})
