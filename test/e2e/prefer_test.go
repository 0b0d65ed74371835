package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/clusterset"
)

// TestPreference_P3: clients of three clusters, each with a preference of its own, count which cluster's pods answer them,
// before the preferred cluster's endpoints go unready, while they do, and after they are back. No request is lost.
func TestPreference_P3(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{Clusters: []clusterset.ClusterOptions{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
	if err := s.StartController(); err != nil {
		t.Fatal(err)
	}
	f := &three{a: s.Cluster("a"), b: s.Cluster("b"), c: s.Cluster("c"),
		clients: map[string]*clusterset.Shell{}, pods: map[string][]*corev1.Pod{}}
	for _, c := range s.Clusters {
		apply(t, c, []byte(everywhere), []byte(exportOfWeb))
	}
	for _, c := range s.Clusters {
		f.clients[c.Name] = shell(t, c, "shop", "app=client")
		f.pods[c.Name] = must[[]*corev1.Pod](t)(c.ReadyPods(t.Context(), "shop", "app=web", 2))
		f.awaitImport(t, c, "web")
	}
	f.converge(t, f.clients["c"], "web"+zone, append(f.exporters(), whole("c", f.pods["c"]...)...))
	for cluster, prefer := range map[string]string{"a": "local", "b": "local, c", "c": "b, a"} {
		kubectl(t, s.Cluster(cluster), "annotate", "serviceimport", "web", "-n", "shop", "clusterset.dev/prefer="+prefer)
	}

	f.served(t, "before", map[string]string{"a": "a", "b": "b", "c": "b"})
	for _, pod := range f.pods["b"] {
		if err := f.b.SetReady(t.Context(), "shop", pod.Name, false); err != nil {
			t.Fatal(err)
		}
	}
	f.served(t, "while b is not ready", map[string]string{"a": "a", "b": "c", "c": "a"})
	for _, pod := range f.pods["b"] {
		if err := f.b.SetReady(t.Context(), "shop", pod.Name, true); err != nil {
			t.Fatal(err)
		}
	}
	f.served(t, "after", map[string]string{"a": "a", "b": "b", "c": "b"})
	for _, c := range s.Clusters {
		kubectl(t, c, "annotate", "serviceimport", "web", "-n", "shop", "clusterset.dev/prefer-")
	}
	f.converge(t, f.clients["c"], "web"+zone, append(f.exporters(), whole("c", f.pods["c"]...)...))
}

// served asks from every cluster until one cluster's pods alone answer, as wanted, without a request lost on the way there;
// then it counts more requests, which these pods alone must answer.
func (f *three) served(t *testing.T, when string, want map[string]string) {
	t.Helper()
	for _, from := range []string{"c", "b", "a"} { // first where what goes unready was preferred
		on := map[string]int{}
		eventually(t, func(context.Context) error {
			now := byCluster(answers(t, f.clients[from], 20, "web"+zone))
			for cluster, n := range now {
				on[cluster] += n
			}
			if now[want[from]] != 20 {
				return fmt.Errorf("%s, in %s: answered by %v, want %s alone", when, from, now, want[from])
			}
			return nil
		})
		tally := answers(t, f.clients[from], 100, "web"+zone)
		t.Logf("%s, in %s: on the way there %v, then %v", when, from, on, byCluster(tally))
		expectExactly(t, tally, whole(want[from], f.pods[want[from]]...)...)
	}
}

// byCluster adds up what the pods of a cluster answered.
func byCluster(tally map[string]int) map[string]int {
	out := map[string]int{}
	for name, n := range tally {
		cluster, _, _ := strings.Cut(name, "/")
		out[cluster] += n
	}
	return out
}
