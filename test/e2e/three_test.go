package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
)

// TestThreeClusters: any number of exporting clusters, automatic imports, and a client in every cluster, which reaches
// exactly the pods that it should: hundreds of requests, and the set of those who answered compared.
func TestThreeClusters(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{Clusters: []clusterset.ClusterOptions{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
	if err := s.StartController(); err != nil {
		t.Fatal(err)
	}
	f := newThree(t, s)
	for _, test := range []struct {
		name string
		test func(*testing.T)
	}{
		{"every exporting cluster's pods and no others_E5_I1_I2", f.reachExactly},
		{"both IP families_I4", f.families},
		{"the local Service of the same name is untouched_I7", f.local},
		{"a port reaches only clusters that expose it_M3", f.ports},
		{"a port of the same number under another name_M3", f.renamed},
		{"session affinity holds_I6", f.affinity},
		{"a StatefulSet's pods, cluster by cluster_D3", f.statefulSet},
		{"an unready pod gets nothing_S2_D3", f.unready},
		{"a withdrawn export takes its cluster out_E5", f.withdraw},
	} {
		t.Run(test.name, test.test)
	}
}

// three is the clusterset of TestThreeClusters: a and b export, c has a Service of the same name that it does not export.
type three struct {
	a, b, c *clusterset.Cluster
	clients map[string]*clusterset.Shell
	pods    map[string][]*corev1.Pod // of Deployment web, by cluster
}

// In every cluster: a client, and two pods that listen on three ports.
const everywhere = onlyClient + `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web-demo
        ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9000}, {name: other, containerPort: 9100}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`

// exported returns a Service of the pods web and its export.
func exported(name, spec string) []byte {
	return fmt.Appendf(nil, `
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: shop}
spec: {selector: {app: web}, %[2]s}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: %[1]s, namespace: shop}
`, name, spec)
}

const exportOfWeb = `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: web, namespace: shop}
`

const statefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: web-demo}]
---
` + exportedDB

// exportedDB exports the pods of a StatefulSet db.
const exportedDB = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 8080}]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: db, namespace: shop}
`

func newThree(t *testing.T, s *clusterset.Set) *three {
	f := &three{a: s.Cluster("a"), b: s.Cluster("b"), c: s.Cluster("c"),
		clients: map[string]*clusterset.Shell{}, pods: map[string][]*corev1.Pod{}}
	for _, c := range s.Clusters {
		apply(t, c, []byte(everywhere))
	}
	for _, c := range s.Clusters {
		f.clients[c.Name] = shell(t, c, "shop", "app=client")
		f.pods[c.Name] = kit.Got[[]*corev1.Pod](t)(c.ReadyPods(t.Context(), "shop", "app=web", 2))
	}
	// a exports first everywhere, so that its properties win (M1); creationTimestamps count seconds.
	apply(t, f.a, []byte(exportOfWeb), []byte(statefulSet),
		exported("ports", `ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 9000, targetPort: admin}]`),
		exported("named", `ports: [{name: http, port: 80, targetPort: http}]`),
		exported("sticky", `sessionAffinity: ClientIP, ports: [{name: http, port: 80, targetPort: http}]`))
	for _, name := range []string{"web", "db", "ports", "named", "sticky"} {
		f.awaitImport(t, f.c, name)
	}
	f.nextSecond(t)
	apply(t, f.b, []byte(exportOfWeb), []byte(statefulSet),
		exported("ports", `ports: [{name: http, port: 8000, targetPort: http}, {name: other, port: 9100, targetPort: other}]`),
		exported("named", `ports: [{name: web, port: 80, targetPort: http}]`),
		exported("sticky", `sessionAffinity: ClientIP, ports: [{name: http, port: 80, targetPort: http}]`))
	return f
}

// nextSecond waits until the API server of b stamps a later second than the exports of a have.
func (f *three) nextSecond(t *testing.T) {
	export, err := f.a.ServiceExport(t.Context(), "shop", "sticky")
	if err != nil {
		t.Fatal(err)
	}
	kit.MustAwait(t, func(context.Context) error {
		if now := metav1.Now().Rfc3339Copy(); !now.After(export.CreationTimestamp.Time) {
			return fmt.Errorf("it is still %s", now)
		}
		return nil
	})
}

func (f *three) awaitImport(t *testing.T, c *clusterset.Cluster, name string) {
	t.Helper()
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := c.ServiceImport(ctx, "shop", name)
		return err
	})
}

func (f *three) clusters() []*clusterset.Cluster { return []*clusterset.Cluster{f.a, f.b, f.c} }

// of returns the pods of clusters.
func of(pods map[string][]*corev1.Pod, clusters ...string) (all []*corev1.Pod) {
	for _, cluster := range clusters {
		all = append(all, pods[cluster]...)
	}
	return all
}

// exporters are the pods that an exported Service reaches.
func (f *three) exporters() []string {
	return append(whole("a", f.pods["a"]...), whole("b", f.pods["b"]...)...)
}

// converge waits until a port of an import leads to exactly these pods in a cluster, and its name to the import.
func (f *three) converge(t *testing.T, cluster, name string, port int32, pods ...*corev1.Pod) {
	t.Helper()
	for _, c := range f.clusters() {
		if c.Name == cluster {
			routedPort(t, c, "shop", "amcs-"+name, port, pods...)
		}
	}
	f.awaitAnswer(t, f.clients[cluster], fmt.Sprintf("%s%s:%d", name, zone, port))
}

const zone = ".shop.svc.clusterset.local"

func (f *three) reachExactly(t *testing.T) {
	for name, client := range f.clients {
		f.converge(t, name, "web", 80, of(f.pods, "a", "b")...)
		t.Run("from "+name, func(t *testing.T) {
			expectExactly(t, answers(t, client, 200, "web"+zone), f.exporters()...)
		})
	}
}

func (f *three) families(t *testing.T) {
	for name, client := range f.clients {
		for _, family := range []string{"-4", "-6"} {
			f.converge(t, name, "web", 80, of(f.pods, "a", "b")...)
			f.awaitAnswer(t, client, "web"+zone, family)
			t.Run(name+family, func(t *testing.T) {
				expectExactly(t, answers(t, client, 60, "web"+zone, family), f.exporters()...)
			})
		}
	}
}

func (f *three) local(t *testing.T) {
	for _, c := range f.clusters() {
		routed(t, c, "shop", "web", f.pods[c.Name]...)
		expectExactly(t, answers(t, f.clients[c.Name], 40, "web.shop"), whole(c.Name, f.pods[c.Name]...)...)
		selector := kubectl(t, c, "get", "service", "web", "-n", "shop", "-o", "jsonpath={.spec.selector.app} {.metadata.labels} {.metadata.annotations}")
		if !strings.HasPrefix(selector, "web ") || strings.Contains(selector, "clusterset.dev") {
			t.Errorf("cluster %s: the local Service is now %s", c.Name, selector)
		}
	}
}

// ports: a exposes http 80 and admin 9000; b exposes http on another number, which must not be reached, and other 9100.
func (f *three) ports(t *testing.T) {
	for name, client := range f.clients {
		for port, cluster := range map[int32]string{80: "a", 9000: "a", 9100: "b"} {
			f.converge(t, name, "ports", port, f.pods[cluster]...)
			t.Run(fmt.Sprint(name, ":", port), func(t *testing.T) {
				expectExactly(t, answers(t, client, 50, fmt.Sprint("ports", zone, ":", port)), whole(cluster, f.pods[cluster]...)...)
			})
		}
		if answer, err := client.Curl(t.Context(), "ports"+zone+":8000"); err == nil {
			t.Errorf("from %s: %s answers on a port that lost its name", name, answer)
		}
	}
}

func (f *three) renamed(t *testing.T) {
	for name, client := range f.clients {
		f.converge(t, name, "named", 80, of(f.pods, "a", "b")...)
		t.Run("from "+name, func(t *testing.T) { expectExactly(t, answers(t, client, 60, "named"+zone), f.exporters()...) })
	}
}

func (f *three) affinity(t *testing.T) {
	for name, client := range f.clients {
		f.converge(t, name, "sticky", 80, of(f.pods, "a", "b")...)
		if tally := answers(t, client, 40, "sticky"+zone); len(tally) != 1 {
			t.Errorf("from %s: %v answered, want one pod for one client", name, tally)
		}
	}
}

func (f *three) awaitAnswer(t *testing.T, client *clusterset.Shell, url string, options ...string) {
	t.Helper()
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := client.Curl(ctx, url, options...)
		return err
	})
}

func (f *three) statefulSet(t *testing.T) {
	for from, client := range f.clients {
		for _, cluster := range []string{"a", "b"} {
			for _, pod := range []string{"db-0", "db-1"} {
				name := pod + "." + cluster + ".db" + zone
				f.awaitAnswer(t, client, name+":8080")
				if tally := answers(t, client, 5, name+":8080"); len(tally) != 1 || tally[cluster+"/"+pod] != 5 {
					t.Errorf("from %s: %s is answered by %v", from, name, tally)
				}
			}
		}
	}
}

func (f *three) unready(t *testing.T) {
	held := f.pods["b"][0]
	if err := f.b.SetReady(t.Context(), "shop", held.Name, false); err != nil {
		t.Fatal(err)
	}
	want := append(whole("a", f.pods["a"]...), whole("b", f.pods["b"][1])...)
	for name, client := range f.clients {
		f.converge(t, name, "web", 80, append(of(f.pods, "a"), f.pods["b"][1])...)
		t.Run("from "+name, func(t *testing.T) { expectExactly(t, answers(t, client, 100, "web"+zone), want...) })
	}
	if err := f.b.SetReady(t.Context(), "shop", held.Name, true); err != nil {
		t.Fatal(err)
	}
}

// withdraw: b deletes its exports; a's pods serve on, without a gap for who asks.
func (f *three) withdraw(t *testing.T) {
	kubectl(t, f.b, "delete", "serviceexport", "web", "-n", "shop")
	want := whole("a", f.pods["a"]...)
	for name, client := range f.clients {
		f.converge(t, name, "web", 80, f.pods["a"]...)
		t.Run("from "+name, func(t *testing.T) { expectExactly(t, answers(t, client, 60, "web"+zone), want...) })
	}
	expectExactly(t, answers(t, f.clients["b"], 20, "web.shop"), whole("b", f.pods["b"]...)...) // SPEC I7
}
