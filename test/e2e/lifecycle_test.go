package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
)

// TestLifecycle changes exported Services in one cluster while a client in another uses them.
func TestLifecycle(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{Clusters: []clusterset.ClusterOptions{{Name: "a"}, {Name: "b"}}})
	if err := s.StartController(); err != nil {
		t.Fatal(err)
	}
	l := &lifecycle{a: s.Cluster("a"), b: s.Cluster("b"), pods: map[string]*corev1.Pod{}}
	apply(t, l.a, []byte(versions))
	apply(t, l.b, []byte(onlyClient))
	l.client = shell(t, l.b, "shop", "app=client")
	for _, version := range []string{"v1", "v2"} {
		l.pods[version] = kit.Got[[]*corev1.Pod](t)(l.a.ReadyPods(t.Context(), "shop", "version="+version, 1))[0]
	}
	for _, test := range []struct {
		name string
		test func(*testing.T)
	}{
		{"named target ports differ per slice_M3_S1", l.targetPorts},
		{"ports are edited while traffic flows_M5_I6", l.editPorts},
		{"UDP_I6", l.udp},
		{"a Service without selector_E2", l.byHand},
		{"unready pods that are published_S2", l.publishNotReady},
		{"a Service turns headless and back_A6_I6", l.headless},
	} {
		t.Run(test.name, test.test)
	}
}

type lifecycle struct {
	a, b   *clusterset.Cluster
	client *clusterset.Shell
	pods   map[string]*corev1.Pod // of a, by version
}

const onlyClient = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec:
  containers: [{name: client, image: curl, command: [sleep, infinity]}]
`

// Two versions of a pod, whose port http is not the same number.
const versions = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: v1, namespace: shop, labels: {app: web, version: v1}}
spec:
  containers: [{name: web, image: web-demo, ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9000}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: v2, namespace: shop, labels: {app: web, version: v2}}
spec:
  containers: [{name: web, image: web-demo, ports: [{name: http, containerPort: 8081}, {name: admin, containerPort: 9000}, {name: echo, containerPort: 5300, protocol: UDP}]}]
`

// await waits until port 80 of an import leads to exactly these versions' pods, and its name to it.
func (l *lifecycle) await(t *testing.T, name string, versions ...string) {
	t.Helper()
	var pods []*corev1.Pod
	for _, version := range versions {
		pods = append(pods, l.pods[version])
	}
	routedPort(t, l.b, "shop", "amcs-"+name, 80, pods...)
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := l.client.Curl(ctx, name+zone)
		return err
	})
	expectExactly(t, answers(t, l.client, 40, name+zone), whole("a", pods...)...)
}

func (l *lifecycle) targetPorts(t *testing.T) {
	apply(t, l.a, exported("mixed", `ports: [{name: http, port: 80, targetPort: http}]`))
	l.await(t, "mixed", "v1", "v2")
}

// editPorts adds a port and takes it away, while the other one must not miss a request.
func (l *lifecycle) editPorts(t *testing.T) {
	apply(t, l.a, exported("edited", `ports: [{name: http, port: 80, targetPort: http}]`))
	l.await(t, "edited", "v1", "v2")
	stop := l.traffic(t, "edited"+zone)
	kubectl(t, l.a, "patch", "service", "edited", "-n", "shop", "--type=json", "-p",
		`[{"op":"add","path":"/spec/ports/-","value":{"name":"admin","port":9000,"targetPort":"admin"}}]`)
	// While slices change from one set of ports to another, pods are missing from them for a moment, with port 80 too: what was
	// true before the change must not be taken for its end.
	routedPort(t, l.b, "shop", "amcs-edited", 9000, l.pods["v1"], l.pods["v2"])
	l.await(t, "edited", "v1", "v2")
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := l.client.Curl(ctx, "edited"+zone+":9000")
		return err
	})
	kubectl(t, l.a, "patch", "service", "edited", "-n", "shop", "--type=json", "-p", `[{"op":"remove","path":"/spec/ports/1"}]`)
	kit.MustAwait(t, func(ctx context.Context) error {
		if answer, err := l.client.Curl(ctx, "edited"+zone+":9000", "--max-time", "1"); err == nil {
			return fmt.Errorf("%s still answers on a port that is gone", answer)
		}
		return nil
	})
	stop()
}

// traffic fetches a URL without pause until stop, which fails the test if any request failed.
func (l *lifecycle) traffic(t *testing.T, url string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	type outcome struct {
		requests int
		err      error
	}
	done := make(chan outcome)
	go func() {
		var o outcome
		for ctx.Err() == nil && o.err == nil {
			if _, err := l.client.Curl(t.Context(), url); err != nil {
				o.err = err
			}
			o.requests++
		}
		done <- o
	}()
	return func() {
		t.Helper()
		cancel()
		o := <-done
		if t.Logf("%d requests meanwhile", o.requests); o.err != nil || o.requests == 0 {
			t.Errorf("after %d requests: %v", o.requests, o.err)
		}
	}
}

func (l *lifecycle) udp(t *testing.T) {
	apply(t, l.a, exported("udp", `ports: [{name: echo, port: 53, protocol: UDP, targetPort: echo}]`))
	kit.MustAwait(t, func(ctx context.Context) error {
		out, err := l.client.Run(ctx, "bash", "-c",
			`ip=$(getent ahostsv4 udp`+zone+` | head -1 | cut -d" " -f1) && exec 3<>/dev/udp/$ip/53 && echo >&3 && timeout 1 dd bs=1500 count=1 status=none <&3`)
		if err == nil && !strings.Contains(out, "pod=v2 ") {
			err = fmt.Errorf("answered %q", out)
		}
		return err
	})
}

// byHand: a Service without selector, whose EndpointSlice somebody wrote.
func (l *lifecycle) byHand(t *testing.T) {
	pods, err := l.a.ReadyPods(t.Context(), "shop", "version=v1", 1)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, l.a, fmt.Appendf(nil, `
apiVersion: v1
kind: Service
metadata: {name: by-hand, namespace: shop}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: by-hand-1, namespace: shop, labels: {kubernetes.io/service-name: by-hand}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [%q]}]
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: by-hand, namespace: shop}
`, pods[0].Status.PodIP))
	l.await(t, "by-hand", "v1")
}

// publishNotReady: what the exported Service publishes although it is not ready is published by the import.
func (l *lifecycle) publishNotReady(t *testing.T) {
	apply(t, l.a, exported("published", `clusterIP: None, publishNotReadyAddresses: true, ports: [{name: http, port: 8080}]`),
		exported("unpublished", `clusterIP: None, ports: [{name: http, port: 8080}]`))
	l.awaitAddresses(t, "unpublished", 2)
	if err := l.a.SetReady(t.Context(), "shop", "v1", false); err != nil {
		t.Fatal(err)
	}
	l.awaitAddresses(t, "unpublished", 1)
	l.awaitAddresses(t, "published", 2)
	if err := l.a.SetReady(t.Context(), "shop", "v1", true); err != nil {
		t.Fatal(err)
	}
	l.awaitAddresses(t, "unpublished", 2)
}

// awaitAddresses waits until a name has count IPv4 addresses, and returns them.
func (l *lifecycle) awaitAddresses(t *testing.T, name string, count int) (ips []netip.Addr) {
	t.Helper()
	kit.MustAwait(t, func(ctx context.Context) error {
		var err error
		if ips, err = addresses(ctx, l.b, name+zone); err == nil && len(ips) != count {
			err = fmt.Errorf("%s has the addresses %v, want %d", name, ips, count)
		}
		return err
	})
	return ips
}

// headless: clusterIP is immutable, so that the Service, and with it the derived one, is another.
func (l *lifecycle) headless(t *testing.T) {
	apply(t, l.a, exported("flip", `ports: [{name: http, port: 80, targetPort: admin}]`))
	l.await(t, "flip", "v1", "v2")
	virtual := l.awaitAddresses(t, "flip", 1)
	kubectl(t, l.a, "delete", "service", "flip", "-n", "shop")
	apply(t, l.a, exported("flip", `clusterIP: None, ports: [{name: http, port: 9000}]`))
	for _, ip := range l.awaitAddresses(t, "flip", 2) {
		if slices.Contains(virtual, ip) {
			t.Errorf("headless, the name has the old ClusterIP %s still", ip)
		}
	}
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := l.client.Curl(ctx, "flip"+zone+":9000")
		return err
	})
	kubectl(t, l.a, "delete", "service", "flip", "-n", "shop")
	apply(t, l.a, exported("flip", `ports: [{name: http, port: 80, targetPort: admin}]`))
	l.awaitAddresses(t, "flip", 1)
	l.await(t, "flip", "v1", "v2")
}
