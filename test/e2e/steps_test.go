package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

// must returns what f returned, and ends the test if that came with an error.
func must[T any](t *testing.T) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// apply applies manifests with kubectl, as a person does.
func apply(t *testing.T, c *clusterset.Cluster, manifests ...[]byte) {
	t.Helper()
	for _, manifest := range manifests {
		if _, err := c.Kubectl(t.Context(), manifest, "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
}

func kubectl(t *testing.T, c *clusterset.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventually(t *testing.T, condition func(context.Context) error) {
	t.Helper()
	if err := clusterset.Await(t.Context(), condition); err != nil {
		t.Fatal(err)
	}
}

// shell opens a shell in the one pod that the selector selects.
func shell(t *testing.T, c *clusterset.Cluster, namespace, selector string) *clusterset.Shell {
	t.Helper()
	pods, err := c.ReadyPods(t.Context(), namespace, selector, 1)
	if err != nil {
		t.Fatal(err)
	}
	return must[*clusterset.Shell](t)(c.Shell(namespace, pods[0].Name))
}

// answers fetches url count times, each over a connection of its own, and returns how often which pod answered.
func answers(t *testing.T, from *clusterset.Shell, count int, url string, options ...string) map[string]int {
	t.Helper()
	out, err := from.Run(t.Context(), "sh", append([]string{"-c",
		`n=$1; shift; while [ "$n" -gt 0 ]; do curl -sS --max-time 15 "$@" || exit 1; n=$((n-1)); done`, "sh", fmt.Sprint(count), url}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	tally := map[string]int{}
	for _, line := range strings.SplitAfter(out, "\n") {
		if line == "" {
			continue
		}
		answer, err := webdemo.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		tally[answer.Cluster+"/"+answer.Pod]++
	}
	return tally
}

// whole returns the keys that answers gives when each pod of a cluster answers: its web demo says env.
func whole(env string, pods ...*corev1.Pod) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, env+"/"+pod.Name)
	}
	sort.Strings(names)
	return names
}

// expectExactly fails the test unless exactly the wanted pods answered.
func expectExactly(t *testing.T, tally map[string]int, want ...string) {
	t.Helper()
	var got []string
	for name := range tally {
		got = append(got, name)
	}
	sort.Strings(got)
	sort.Strings(want)
	if !slices.Equal(got, want) {
		t.Errorf("answers came from %v, want exactly %v", tally, want)
	}
}

// podIPs returns all addresses of pods.
func podIPs(t *testing.T, pods []*corev1.Pod) []netip.Addr {
	t.Helper()
	var ips []netip.Addr
	for _, pod := range pods {
		for _, ip := range pod.Status.PodIPs {
			ips = append(ips, must[netip.Addr](t)(netip.ParseAddr(ip.IP)))
		}
	}
	return ips
}

// clusterIPs returns the addresses of a Service.
func clusterIPs(t *testing.T, c *clusterset.Cluster, namespace, name string) []string {
	t.Helper()
	service, err := c.Client.CoreV1().Services(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIPs
}

func sortedKeys(set map[string]bool) []string {
	var keys []string
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
