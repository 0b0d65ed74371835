package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"
)

// Bounds of a rollout, relative to what clients of the exporting cluster see at the same time by its own DNS.
const (
	askEvery   = 20 * time.Millisecond // the time between two requests of a client
	mayFail    = 0.005                 // of the requests, beyond the part that fails in the exporting cluster
	mayLag     = time.Second           // after an address left the exporting cluster's own DNS
	afterwards = 300                   // requests once all pods are new: longer than a cache keeps an answer whose TTL is 5 s
)

// TestRollout_D18: a StatefulSet is rolled out while clients in two other clusters connect to its headless name at a constant rate:
// in c1 the plugin is in the cluster's own CoreDNS as install.md has it, in c2 `mcsctl dns` wrote a block that forwards to ours. Pods
// serve on for 2 s after they left the DNS of their cluster, as a rolling update needs. Time is measured against that DNS, so
// that a busy machine slows both.
func TestRollout_D18(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{
		Corefile: clusterset.StockCorefile,
		Clusters: []clusterset.ClusterOptions{{Name: "provider"}, {Name: "c1"}, {Name: "c2"}},
	})
	if err := s.StartController(); err != nil {
		t.Fatal(err)
	}
	provider, c1, c2 := s.Cluster("provider"), s.Cluster("c1"), s.Cluster("c2")
	apply(t, provider, []byte(rolledOut))
	for _, c := range []*clusterset.Cluster{c1, c2} {
		kubectl(t, c, "create", "namespace", "shop")
	}
	pluginInOwnCoreDNS(t, s, c1)
	stubToOurs(t, s, c2)
	pods := kit.Got[[]*corev1.Pod](t)(provider.ReadyPods(t.Context(), "shop", "app=db", 3))
	for _, c := range []*clusterset.Cluster{c1, c2} {
		resolved(t, c, "db"+zone, pods...)
	}

	own := startCaller(t, provider, "db.shop.svc.cluster.local", "db-0.db.shop.svc.cluster.local")
	inC1 := startCaller(t, c1, "db"+zone, "db-0.provider.db"+zone)
	inC2 := startCaller(t, c2, "db"+zone, "db-0.provider.db"+zone)
	kubectl(t, provider, "rollout", "restart", "statefulset/db", "-n", "shop")
	kubectl(t, provider, "rollout", "status", "statefulset/db", "-n", "shop", "--timeout=2m")
	made := inC1.requests() + afterwards
	kit.MustAwait(t, func(context.Context) error {
		if n := inC1.requests(); n < made {
			return fmt.Errorf("%d requests of %d", n, made)
		}
		return nil
	})
	for _, c := range []*caller{inC1, inC2, own} { // what the others are compared with goes on for longest
		c.stop()
	}
	for name, c := range map[string]*caller{"c1": inC1, "c2": inC2} {
		t.Run(name, func(t *testing.T) { c.compare(t, own) })
	}
}

const rolledOut = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        image: web-demo
        readinessProbe: {httpGet: {path: /, port: 8080}}
        lifecycle: {preStop: {sleep: {seconds: 2}}}
---
` + exportedDB

// pluginInOwnCoreDNS edits the Corefile of a cluster by the commands of install.md.
func pluginInOwnCoreDNS(t *testing.T, s *clusterset.Set, c *clusterset.Cluster) {
	t.Helper()
	const file = "/tmp/Corefile"
	mine, written := filepath.Join(t.TempDir(), "Corefile"), false
	for _, command := range kit.Got[[]string](t)(docs.Commands("install.md", "The plugin in the cluster's own CoreDNS")) {
		if strings.Contains(command, file) {
			typed(t, s, c, strings.ReplaceAll(command, file, mine))
			written = written || strings.Contains(command, " apply ")
		}
	}
	if !written {
		t.Fatal("install.md writes no Corefile")
	}
	restartDNS(t, c)
}

// stubToOurs installs our CoreDNS, and has the cluster's own one forward to it by mcsctl.
func stubToOurs(t *testing.T, s *clusterset.Set, c *clusterset.Cluster) {
	t.Helper()
	typed(t, s, c, "kubectl --context c2 apply -k deploy/coredns")
	typed(t, s, c, "kubectl --context c2 -n mcs-dns rollout status deployment/coredns-multicluster --timeout=2m")
	typed(t, s, c, "mcsctl --context c2 dns --wait 0")
	restartDNS(t, c)
}

// typed runs a command in the folder of the repository, as the administrator of a cluster.
func typed(t *testing.T, s *clusterset.Set, c *clusterset.Cluster, command string) {
	t.Helper()
	mcsctl := kit.Got[[]string](t)(programs.Build(t.Context(), os.Stderr, "cmd/mcsctl"))[0]
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = kit.Got[string](t)(programs.Root(t.Context()))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(),
		"PATH="+s.Programs.Kubernetes.Dir+":"+filepath.Dir(mcsctl)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// restartDNS has the cluster's own CoreDNS read its Corefile anew.
func restartDNS(t *testing.T, c *clusterset.Cluster) {
	t.Helper()
	kubectl(t, c, "delete", "pod", "-l", "k8s-app=kube-dns", "-n", "kube-system", "--force", "--grace-period=0")
	if err := c.AwaitDNS(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A caller of a cluster asks its DNS for a service and connects to the first address of the answer, and asks for a pod, again and
// again.
type caller struct {
	cluster *clusterset.Cluster
	stop    func() // returns when the last call has ended

	mu            sync.Mutex
	services, pod []call
}

// call is what came of a question, and of the connection.
type call struct {
	asked, answered time.Time
	addresses       []netip.Addr
	err             error
}

func startCaller(t *testing.T, c *clusterset.Cluster, service, pod string) *caller {
	ctx, cancel := context.WithCancel(t.Context())
	k := &caller{cluster: c}
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(askEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			running.Go(func() { k.note(&k.services, k.call(t.Context(), service, true)) })
			running.Go(func() { k.note(&k.pod, k.call(t.Context(), pod, false)) })
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	k.stop = func() { cancel(); running.Wait() }
	t.Cleanup(k.stop)
	return k
}

func (k *caller) note(list *[]call, c call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*list = append(*list, c)
}

func (k *caller) requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.services)
}

// call asks, once more where a datagram was lost, as every resolver does.
func (k *caller) call(ctx context.Context, name string, connect bool) (c call) {
	var reply *dns.Msg
	for range 2 {
		c.asked = time.Now()
		if reply, c.err = k.cluster.Ask(ctx, name, dns.TypeA); c.err == nil {
			break
		}
	}
	c.answered = time.Now()
	if c.err != nil {
		return c
	}
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		c.err = errors.New(dns.RcodeToString[reply.Rcode])
		return c
	}
	c.addresses = answered(reply)
	switch {
	case !connect:
	case len(c.addresses) == 0:
		c.err = errors.New("no address")
	default:
		c.err = k.connect(ctx, netip.AddrPortFrom(c.addresses[0], 8080))
	}
	return c
}

func (k *caller) connect(ctx context.Context, server netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := k.cluster.Node.Dial(ctx, "tcp", server.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	if body, err := io.ReadAll(conn); err != nil || !strings.Contains(string(body), "pod=db-") {
		return fmt.Errorf("%s answered %q, %w", server, body, err)
	}
	return nil
}

// compare holds the calls against those of the exporting cluster, where the names are answered by its own DNS.
func (k *caller) compare(t *testing.T, own *caller) {
	if failed, inevitable := failures(k.services), failures(own.services); float64(len(failed)) >
		(mayFail+float64(len(inevitable))/float64(len(own.services)))*float64(len(k.services)) {
		t.Errorf("%d of %d requests failed, in the exporting cluster %d of %d; the first: %v",
			len(failed), len(k.services), len(inevitable), len(own.services), failed[0])
	} else {
		t.Logf("%d of %d requests failed, in the exporting cluster %d of %d", len(failed), len(k.services), len(inevitable), len(own.services))
	}
	lag := map[string]time.Duration{"service": lag(k.services, own.services), "pod": lag(k.pod, own.pod)}
	t.Logf("the oldest answers: %v", lag)
	for name, lag := range lag {
		if lag > mayLag {
			t.Errorf("the name of the %s was answered as the exporting cluster's own DNS had last done %s before", name, lag)
		}
	}
	first := map[netip.Addr]int{}
	for _, c := range k.services[len(k.services)-afterwards/2:] {
		if len(c.addresses) > 0 {
			first[c.addresses[0]]++
		}
	}
	for ip, n := range first {
		if n < afterwards/2/6 {
			t.Errorf("%s came first in %d of the last %d answers only: %v", ip, n, afterwards/2, first)
		}
	}
	if len(first) != 3 {
		t.Errorf("%v came first in the last %d answers, want the addresses of 3 pods (SPEC D17, D18)", first, afterwards/2)
	}
}

func failures(calls []call) (errs []error) {
	for _, c := range calls {
		if c.err != nil {
			errs = append(errs, fmt.Errorf("%s, answered %v: %w", c.asked.Format("15:04:05.000"), c.addresses, c.err))
		}
	}
	return errs
}

// lag is for how long at most an answer held an address, or denied the name, after the exporting cluster's own DNS had ceased to.
func lag(calls, own []call) (most time.Duration) {
	var denied time.Time
	held := map[netip.Addr]time.Time{}
	for _, c := range own {
		if len(c.addresses) == 0 && c.err == nil && c.answered.After(denied) {
			denied = c.answered
		}
		for _, ip := range c.addresses {
			if c.answered.After(held[ip]) {
				held[ip] = c.answered
			}
		}
	}
	for _, c := range calls {
		if c.err == nil && len(c.addresses) == 0 {
			most = max(most, c.asked.Sub(denied))
		}
		for _, ip := range c.addresses {
			most = max(most, c.asked.Sub(held[ip]))
		}
	}
	return most
}
