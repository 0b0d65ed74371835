package dns

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/link"
)

// linkTo returns a link to the API server of a cluster, and a kubeconfig for an identity that goes through it.
func linkTo(t testing.TB, c *controlplane.Cluster, user string, groups ...string) (*link.Link, string) {
	t.Helper()
	l, err := link.New(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	content, err := c.KubeconfigContent(l.URL(), user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return l, path
}
