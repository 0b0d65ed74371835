package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
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
		f.pods[c.Name] = kit.Got[[]*corev1.Pod](t)(c.ReadyPods(t.Context(), "shop", "app=web", 2))
		f.awaitImport(t, c, "web")
	}
	f.converge(t, "c", "web", 80, of(f.pods, "a", "b", "c")...)
	for cluster, prefer := range map[string]string{"a": "local", "b": "local, c", "c": "b, a"} {
		kubectl(t, s.Cluster(cluster), "annotate", "serviceimport", "web", "-n", "shop", "clusterset.dev/prefer="+prefer)
	}

	web := f.pods
	virtual := named{"web", 80, func(t *testing.T, from string, want []*corev1.Pod) { f.converge(t, from, "web", 80, want...) }}
	f.served(t, "before", virtual, web, map[string]string{"a": "a", "b": "b", "c": "b"})
	f.ready(t, f.b, web["b"], false)
	f.served(t, "while b is not ready", virtual, web, map[string]string{"a": "a", "b": "c", "c": "a"})
	f.ready(t, f.b, web["b"], true)
	f.served(t, "after", virtual, web, map[string]string{"a": "a", "b": "b", "c": "b"})
	for _, c := range s.Clusters {
		kubectl(t, c, "annotate", "serviceimport", "web", "-n", "shop", "clusterset.dev/prefer-")
	}
	f.converge(t, "c", "web", 80, of(f.pods, "a", "b", "c")...)

	t.Run("headless, by DNS", f.preferHeadless)
}

// preferHeadless is the same for a headless service, of which DNS gives the endpoints of the preferred cluster alone.
func (f *three) preferHeadless(t *testing.T) {
	pods := map[string][]*corev1.Pod{}
	for _, c := range []*clusterset.Cluster{f.a, f.b} {
		apply(t, c, []byte(statefulSet))
		pods[c.Name] = kit.Got[[]*corev1.Pod](t)(c.ReadyPods(t.Context(), "shop", "app=db", 2))
	}
	f.awaitImport(t, f.c, "db")
	db := named{"db", 8080, func(t *testing.T, _ string, want []*corev1.Pod) { resolved(t, f.c, "db"+zone, want...) }}
	db.settled(t, "c", of(pods, "a", "b"))
	kubectl(t, f.c, "annotate", "serviceimport", "db", "-n", "shop", "clusterset.dev/prefer=b")
	f.served(t, "before", db, pods, map[string]string{"c": "b"})
	f.ready(t, f.b, pods["b"], false)
	f.served(t, "while b is not ready", db, pods, map[string]string{"c": "a"})
	f.ready(t, f.b, pods["b"], true)
	f.served(t, "after", db, pods, map[string]string{"c": "b"})
}

// ready makes pods ready or not.
func (f *three) ready(t *testing.T, c *clusterset.Cluster, pods []*corev1.Pod, ready bool) {
	t.Helper()
	for _, pod := range pods {
		if err := c.SetReady(t.Context(), "shop", pod.Name, ready); err != nil {
			t.Fatal(err)
		}
	}
}

// named is an import that is called by its name.
type named struct {
	name    string
	port    int32
	settled func(t *testing.T, from string, want []*corev1.Pod) // waits until who calls it in a cluster gets to these pods
}

// served asks from every cluster until one cluster's pods alone answer, as wanted, without a request lost on the way there;
// then it counts more requests, which these pods alone must answer, and each of them some.
func (f *three) served(t *testing.T, when string, called named, pods map[string][]*corev1.Pod, want map[string]string) {
	t.Helper()
	url := fmt.Sprintf("%s%s:%d", called.name, zone, called.port)
	for _, from := range []string{"c", "b", "a"} { // first where what goes unready was preferred
		if want[from] == "" {
			continue
		}
		on := map[string]int{}
		kit.MustAwait(t, func(context.Context) error {
			now := byCluster(answers(t, f.clients[from], 20, url))
			for cluster, n := range now {
				on[cluster] += n
			}
			if now[want[from]] != 20 {
				return fmt.Errorf("%s, in %s: answered by %v, want %s alone", when, from, now, want[from])
			}
			return nil
		})
		called.settled(t, from, pods[want[from]])
		tally := answers(t, f.clients[from], 100, url)
		t.Logf("%s, in %s: on the way there %v, then %v", when, from, on, byCluster(tally))
		expectExactly(t, tally, whole(want[from], pods[want[from]]...)...)
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
