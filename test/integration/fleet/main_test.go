package fleet

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/test/controlplane"
)

// clusterset is clusters and a controller that all tests of the package share.
type clusterset struct {
	once     sync.Once
	clusters []*cluster
	end      func()
	failed   bool
}

var automatic, onDemand clusterset

// TestMain stops what tests shared, and holds that of all the controllers that ran nothing runs on.
func TestMain(m *testing.M) {
	code := m.Run()
	automatic.stop()
	onDemand.stop()
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

// background is a test that lasts as long as the package: what it starts is stopped by TestMain.
type background struct {
	testing.TB
	cleanups []func()
}

func (b *background) Cleanup(f func()) { b.cleanups = append(b.cleanups, f) }
func (b *background) Log(args ...any)  { _, _ = os.Stderr.WriteString(sprint(args...)) }

func (b *background) end() {
	for i := len(b.cleanups) - 1; i >= 0; i-- {
		b.cleanups[i]()
	}
}

// share starts the clusters a, b and c, a dual-stack one among them, and the controller, for the first test that asks.
func (s *clusterset) share(t *testing.T, auto bool) (a, b, c *cluster) {
	t.Helper()
	s.once.Do(func() {
		s.failed = true
		bg := &background{TB: t}
		s.end = bg.end
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

func (s *clusterset) stop() {
	if s.end != nil {
		s.end()
	}
}

// withAutomatic and withOnDemand return three clusters of a clusterset with automatic imports, and of one without.
func withAutomatic(t *testing.T) (a, b, c *cluster) { return automatic.share(t, true) }
func withOnDemand(t *testing.T) (a, b, c *cluster)  { return onDemand.share(t, false) }
