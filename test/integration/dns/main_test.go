// Package dns tests the plugin as it runs: the real coredns binary, or its server in this process, against real API servers
// with real objects, asked over UDP and TCP.
package dns

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"
)

// shared is the cluster that tests share which neither stop it nor change its CRDs. Each has namespaces of its own. The
// controller manager is what ends a deleted namespace.
var shared struct {
	once    sync.Once
	cluster *controlplane.Cluster
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		shared.cluster.Stop()
	}
	os.Exit(code)
}

// sharedCluster returns the shared API server, with the CRDs installed.
func sharedCluster(t testing.TB) *controlplane.Cluster {
	t.Helper()
	shared.once.Do(func() {
		ctx := context.Background()
		if shared.cluster, shared.err = controlplane.Start(ctx, controlplane.Options{Name: "shared", ControllerManager: true}); shared.err == nil {
			shared.err = shared.cluster.InstallCRDs(ctx)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

// ownCluster returns an API server for this test alone, with the CRDs installed.
func ownCluster(t testing.TB) *controlplane.Cluster {
	t.Helper()
	c := controlplane.ForTest(t, controlplane.Options{Name: "own"})
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

var buildOnce = sync.OnceValues(func() (string, error) {
	built, err := programs.Build(context.Background(), os.Stderr, "cmd/coredns")
	if err != nil {
		return "", err
	}
	return built[0], nil
})

// binary returns the path of the compiled coredns.
func binary(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
