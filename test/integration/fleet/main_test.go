package fleet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/test/controlplane"
)

// clusterset is clusters and a controller that all tests of the package share.
type clusterset struct {
	once     sync.Once
	clusters []*cluster
	lasting  *background
	failed   bool
}

var automatic, onDemand clusterset

// TestMain stops what tests shared, and holds that of all the controllers that ran nothing runs on.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, shared := range []*clusterset{&automatic, &onDemand} {
		if shared.stop(code != 0) && code == 0 {
			code = 1
		}
	}
	leaked := running()
	tick := time.NewTicker(100 * time.Millisecond)
	for end := time.Now().Add(20 * time.Second); len(leaked) > 0 && time.Now().Before(end); leaked = running() {
		<-tick.C
	}
	if len(leaked) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines of stopped controllers:\n%s\n", len(leaked), strings.Join(leaked, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// running returns the goroutines that run code of the controller.
func running() (found []string) {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	for _, g := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(g, "github.com/clusterset/multicluster/controller") {
			found = append(found, g)
		}
	}
	return found
}

// background is a test that lasts as long as the package: what it starts is stopped by TestMain. The test that happened to be
// the first to share it is only there to be failed while it starts. From its end on that one takes nothing, not even a line of
// log, without a panic: so whatever else can be asked of a test is here, and prints to standard error.
type background struct {
	testing.TB // for Fatal and its like, until all is started
	ctx        context.Context
	cancel     context.CancelFunc
	cleanups   []func()
	failed     atomic.Bool
}

func newBackground(first testing.TB) *background {
	b := &background{TB: first}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

func (b *background) Context() context.Context        { return b.ctx }
func (b *background) Cleanup(f func())                { b.cleanups = append(b.cleanups, f) }
func (b *background) Helper()                         {}
func (b *background) Log(args ...any)                 { fmt.Fprintln(os.Stderr, args...) }
func (b *background) Logf(format string, args ...any) { b.Log(fmt.Sprintf(format, args...)) }
func (b *background) Fail()                           { b.failed.Store(true) }
func (b *background) Failed() bool                    { return b.failed.Load() }
func (b *background) Error(args ...any)               { b.Log(args...); b.Fail() }
func (b *background) Errorf(format string, args ...any) {
	b.Logf(format, args...)
	b.Fail()
}

// end cleans up, and returns whether the background test has failed. It counts as failed if another test has: it ran below all.
func (b *background) end(failed bool) bool {
	if failed {
		b.Fail()
	}
	b.cancel()
	for i := len(b.cleanups) - 1; i >= 0; i-- {
		b.cleanups[i]()
	}
	return b.Failed()
}

// share starts the clusters a, b and c, a dual-stack one among them, and the controller, for the first test that asks.
func (s *clusterset) share(t *testing.T, auto bool) (a, b, c *cluster) {
	t.Helper()
	s.once.Do(func() {
		s.failed = true
		bg := newBackground(t)
		s.lasting = bg
		// A controller manager is what ends a deleted namespace.
		s.clusters = start(bg,
			controlplane.Options{Name: "a", AuditLog: true, ControllerManager: true},
			controlplane.Options{Name: "b", AuditLog: true, ControllerManager: true},
			controlplane.Options{Name: "c", AuditLog: true, ServiceCIDRs: []string{"10.97.0.0/16", "fd00:97::/112"}})
		run(bg, register(s.clusters...), func(o *controller.Options) { o.Automatic = auto })
		s.failed = false
	})
	if s.failed {
		t.Fatal("the shared clusters did not start")
	}
	return s.clusters[0], s.clusters[1], s.clusters[2]
}

// stop ends what was shared, and returns whether anything failed.
func (s *clusterset) stop(failed bool) bool {
	if s.lasting != nil {
		return s.lasting.end(failed)
	}
	return failed
}

// withAutomatic and withOnDemand return three clusters of a clusterset with automatic imports, and of one without.
func withAutomatic(t *testing.T) (a, b, c *cluster) { return automatic.share(t, true) }
func withOnDemand(t *testing.T) (a, b, c *cluster)  { return onDemand.share(t, false) }
