package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

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

// shell opens a shell in the one pod that the selector selects.
func shell(t *testing.T, c *clusterset.Cluster, namespace, selector string) *clusterset.Shell {
	t.Helper()
	pods, err := c.ReadyPods(t.Context(), namespace, selector, 1)
	if err != nil {
		t.Fatal(err)
	}
	return kit.Got[*clusterset.Shell](t)(c.Shell(namespace, pods[0].Name))
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

// routed waits until every port of a Service leads to exactly these pods: what counts answers must not ask before.
func routed(t *testing.T, c *clusterset.Cluster, namespace, service string, pods ...*corev1.Pod) {
	t.Helper()
	routedPort(t, c, namespace, service, clusterset.EveryPort, pods...)
}

// routedPort is routed for one port.
func routedPort(t *testing.T, c *clusterset.Cluster, namespace, service string, port int32, pods ...*corev1.Pod) {
	t.Helper()
	if err := c.AwaitRules(t.Context(), namespace, service, port, clusterset.PodIPs(pods...)); err != nil {
		t.Fatal(err)
	}
}

// resolved waits until the cluster's DNS has exactly the IPv4 addresses of these pods for a name, which it may keep for a while
// in its cache.
func resolved(t *testing.T, c *clusterset.Cluster, name string, pods ...*corev1.Pod) {
	t.Helper()
	var want []netip.Addr
	for _, ip := range clusterset.PodIPs(pods...) {
		if ip.Is4() {
			want = append(want, ip)
		}
	}
	slices.SortFunc(want, netip.Addr.Compare)
	kit.MustAwait(t, func(ctx context.Context) error {
		got, err := addresses(ctx, c, name)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("%s has the addresses %v in cluster %s, want %v", name, got, c.Name, want)
		}
		return err
	})
}

// addresses returns the IPv4 addresses that the cluster's DNS has for a name, sorted.
func addresses(ctx context.Context, c *clusterset.Cluster, name string) ([]netip.Addr, error) {
	reply, err := c.Ask(ctx, name+".", dns.TypeA)
	if err != nil {
		return nil, err
	}
	ips := answered(reply)
	slices.SortFunc(ips, netip.Addr.Compare)
	return ips, nil
}

// answered returns the IPv4 addresses of an answer, in its order.
func answered(reply *dns.Msg) (ips []netip.Addr) {
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			ip, _ := netip.AddrFromSlice(a.A.To4())
			ips = append(ips, ip)
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
