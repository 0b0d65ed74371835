package clusterset

import (
	"context"
	"os"
	"testing"

	"github.com/clusterset/multicluster/test/need"
)

// ForTest brings a set up that goes with the test, with packets, and skips the test where there can be none. If the test
// fails, the ends of the logs are shown.
func ForTest(t testing.TB, opts Options) *Set {
	t.Helper()
	need.Packets.OrSkip(t)
	opts.Packets, opts.BuildLog = true, os.Stderr
	s, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.logTo(t)
		}
		s.Close()
	})
	return s
}

func (s *Set) logTo(t testing.TB) {
	const lines = 40
	if log := s.ControllerLog(); log != "" {
		t.Logf("the end of the controller's log:\n%s", end(log, lines))
	}
	for _, c := range s.Clusters {
		t.Logf("cluster %s: the end of the log of kube-proxy:\n%s", c.Name, end(c.proxy.Log(), lines))
		pods, err := c.ReadyPods(context.Background(), "kube-system", "k8s-app=kube-dns", 1)
		if err != nil {
			t.Log(err)
			continue
		}
		if shell, err := c.Shell("kube-system", pods[0].Name); err == nil {
			t.Logf("cluster %s: the end of the log of CoreDNS:\n%s", c.Name, end(shell.Log(), lines))
		}
	}
}

// end returns the last lines of a text.
func end(text string, lines int) string {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '\n' {
			if lines--; lines < 0 {
				return text[i+1:]
			}
		}
	}
	return text
}
