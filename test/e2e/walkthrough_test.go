package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/demo/manifests"
	"github.com/clusterset/multicluster/test/kit"
)

// The environment that the walk-through's web demo names.
const beijing = "cluster1-beijing"

// A walkthrough is the user's document, followed step by step; each step leaves behind what the next one needs.
type walkthrough struct {
	provider, consumer *clusterset.Cluster
	servers            []*corev1.Pod
	client             *clusterset.Shell // with the document's dnsConfig
}

// TestWalkthrough follows the document from beginning to end (SPEC section A).
func TestWalkthrough(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{Clusters: []clusterset.ClusterOptions{{Name: "provider"}, {Name: "consumer"}}})
	if err := s.StartController("--automatic-imports=false"); err != nil {
		t.Fatal(err)
	}
	w := &walkthrough{provider: s.Cluster("provider"), consumer: s.Cluster("consumer")}
	steps := []struct {
		name string
		step func(*testing.T)
	}{
		{"export_A1", w.export},
		{"nothing is imported unasked_I2", w.nothingUnasked},
		{"import_A2_A3", w.importIt},
		{"resolv.conf is kubelet's_A4", w.resolvConf},
		{"three names reach the provider's pods_A4", w.threeNames},
		{"from pod to pod", w.packets},
		{"the rest of DNS is as it was_A5_I7", w.restOfDNS},
		{"an unready pod gets nothing_S2", w.unready},
		{"a local Service of the same name wins the short name_A4_I7", w.localService},
		{"deleting the import_A8", w.deleteImport},
		{"deleting the export_A8_E5", w.deleteExport},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.step) {
			t.FailNow() // what follows would only fail for the same reason
		}
	}
}

func (w *walkthrough) export(t *testing.T) {
	kubectl(t, w.provider, "create", "ns", "provider-ns")
	apply(t, w.provider, manifests.AppMeta, manifests.ServiceExport)
	w.servers = kit.Got[[]*corev1.Pod](t)(w.provider.ReadyPods(t.Context(), "provider-ns", "app=web-demo", 2))
	kit.MustAwait(t, func(context.Context) error {
		status := kubectl(t, w.provider, "get", "serviceexport", "service1", "-n", "provider-ns",
			"-o", `jsonpath={.status.conditions[?(@.type=="Valid")].status}`)
		if status != "True" {
			return fmt.Errorf("the export's condition Valid is %q", status)
		}
		return nil
	})
}

func (w *walkthrough) nothingUnasked(t *testing.T) {
	kubectl(t, w.consumer, "create", "ns", "provider-ns")
	kubectl(t, w.consumer, "create", "ns", "consumer-ns")
	apply(t, w.consumer, manifests.ClientPod)
	w.client = shell(t, w.consumer, "consumer-ns", "app=client-pod") // the controller has had time to do wrong
	for _, c := range []*clusterset.Cluster{w.provider, w.consumer} {
		if imports := kubectl(t, c, "get", "serviceimports", "-A", "-o", "name"); imports != "" {
			t.Errorf("cluster %s has %s", c.Name, imports)
		}
	}
}

func (w *walkthrough) importIt(t *testing.T) {
	apply(t, w.consumer, manifests.ServiceImport)
	want := ""
	kit.MustAwait(t, func(ctx context.Context) error {
		service, err := w.consumer.Client.CoreV1().Services("provider-ns").Get(ctx, "amcs-service1", metav1.GetOptions{})
		if err != nil {
			return err
		}
		want = strings.Join(service.Spec.ClusterIPs, " ")
		if got := kubectl(t, w.consumer, "get", "serviceimport", "service1", "-n", "provider-ns", "-o", `jsonpath={.spec.ips[*]}`); got != want {
			return fmt.Errorf("the import's ips are %q, those of the derived Service %q", got, want)
		}
		return nil
	})
	if families := len(strings.Fields(want)); families != 1 {
		t.Errorf("the derived Service of a single-stack Service has the addresses %q", want) // SPEC I4
	}
	table := kubectl(t, w.consumer, "get", "service", "-n", "provider-ns", "--no-headers")
	if fields := strings.Fields(table); len(fields) != 6 || strings.Join(fields[:5], " ") != "amcs-service1 ClusterIP "+want+" <none> 80/TCP" {
		t.Errorf("the document's table has become %q", table)
	}
}

func (w *walkthrough) resolvConf(t *testing.T) {
	got := kit.Got[string](t)(w.client.Run(t.Context(), "cat", "/etc/resolv.conf"))
	want := "search consumer-ns.svc.cluster.local svc.cluster.local cluster.local svc.clusterset.local clusterset.local\n"
	for _, ip := range clusterIPs(t, w.consumer, "kube-system", "kube-dns") {
		want += "nameserver " + ip + "\n"
	}
	want += "options ndots:5\n"
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// urls are the document's three.
var urls = []string{"amcs-service1.provider-ns", "service1.provider-ns.svc.clusterset.local", "service1.provider-ns"}

func (w *walkthrough) threeNames(t *testing.T) {
	routed(t, w.consumer, "provider-ns", "amcs-service1", w.servers...)
	for _, url := range urls {
		kit.MustAwait(t, func(ctx context.Context) error { // DNS needs a moment, once
			_, err := w.client.Curl(ctx, url)
			return err
		})
		expectExactly(t, answers(t, w.client, 60, url), whole(beijing, w.servers...)...)
	}
}

// packets: the answering address is the pod's own, and it saw the client's own: nobody in between.
func (w *walkthrough) packets(t *testing.T) {
	answer, err := w.client.Curl(t.Context(), urls[1])
	if err != nil {
		t.Fatal(err)
	}
	pods := clusterset.PodIPs(w.servers...)
	found := false
	for _, ip := range pods {
		found = found || ip == answer.Local.Addr()
	}
	if !found || answer.Local.Port() != 8080 {
		t.Errorf("%s answered, not one of %s on port 8080", answer.Local, pods)
	}
	if answer.Client.Addr() != w.client.Pod.IPs()[0] {
		t.Errorf("the server saw %s, the client is %s", answer.Client, w.client.Pod.IPs())
	}
}

func (w *walkthrough) restOfDNS(t *testing.T) {
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"kubernetes.default.svc.cluster.local.", dns.TypeA, clusterIPs(t, w.consumer, "default", "kubernetes")[0]},
		{"kube-dns.kube-system.svc.cluster.local.", dns.TypeA, clusterIPs(t, w.consumer, "kube-system", "kube-dns")[0]},
		{"amcs-service1.provider-ns.svc.cluster.local.", dns.TypeA, clusterIPs(t, w.consumer, "provider-ns", "amcs-service1")[0]},
		{"service1.provider-ns.svc.clusterset.local.", dns.TypeA, clusterIPs(t, w.consumer, "provider-ns", "amcs-service1")[0]},
		{"service1.provider-ns.svc.cluster.local.", dns.TypeA, "NXDOMAIN"},
		{"amcs-service1.provider-ns.svc.clusterset.local.", dns.TypeA, "NXDOMAIN"},
	}
	for _, test := range tests {
		reply := kit.Got[*dns.Msg](t)(w.consumer.Ask(t.Context(), test.name, test.qtype))
		got := dns.RcodeToString[reply.Rcode]
		for _, ip := range answered(reply) {
			got = ip.String()
		}
		if got != test.want {
			t.Errorf("%s is %s, want %s", test.name, got, test.want)
		}
	}
}

func (w *walkthrough) unready(t *testing.T) {
	held, other := w.servers[0], w.servers[1]
	if err := w.provider.SetReady(t.Context(), "provider-ns", held.Name, false); err != nil {
		t.Fatal(err)
	}
	routed(t, w.consumer, "provider-ns", "amcs-service1", other)
	expectExactly(t, answers(t, w.client, 60, urls[0]), whole(beijing, other)...)
	if err := w.provider.SetReady(t.Context(), "provider-ns", held.Name, true); err != nil {
		t.Fatal(err)
	}
	routed(t, w.consumer, "provider-ns", "amcs-service1", w.servers...)
	expectExactly(t, answers(t, w.client, 60, urls[0]), whole(beijing, w.servers...)...)
}

// localManifest is a Service of the imported one's name in the importing cluster, with a pod of its own.
const localManifest = `
apiVersion: v1
kind: Service
metadata: {name: service1, namespace: provider-ns}
spec:
  selector: {app: local}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: local, namespace: provider-ns, labels: {app: local}}
spec:
  containers: [{name: web-demo, image: web-demo}]
`

func (w *walkthrough) localService(t *testing.T) {
	apply(t, w.consumer, []byte(localManifest))
	local := kit.Got[[]*corev1.Pod](t)(w.consumer.ReadyPods(t.Context(), "provider-ns", "app=local", 1))
	before := kubectl(t, w.consumer, "get", "service", "service1", "-n", "provider-ns", "-o", "yaml")
	// A new CoreDNS knows nothing of the time in which the name did not exist in cluster.local.
	kubectl(t, w.consumer, "delete", "pod", "-l", "k8s-app=kube-dns", "-n", "kube-system", "--force", "--grace-period=0")
	if err := w.consumer.AwaitDNS(t.Context()); err != nil {
		t.Fatal(err)
	}
	routed(t, w.consumer, "provider-ns", "service1", local...)
	kit.MustAwait(t, func(ctx context.Context) error {
		answer, err := w.client.Curl(ctx, "service1.provider-ns")
		if err == nil && answer.Pod != local[0].Name {
			err = fmt.Errorf("the short name still leads to %s", answer)
		}
		return err
	})
	expectExactly(t, answers(t, w.client, 30, "service1.provider-ns"), whole("consumer", local...)...)
	expectExactly(t, answers(t, w.client, 30, "service1.provider-ns.svc.cluster.local"), whole("consumer", local...)...)
	expectExactly(t, answers(t, w.client, 60, "service1.provider-ns.svc.clusterset.local"), whole(beijing, w.servers...)...)
	if after := kubectl(t, w.consumer, "get", "service", "service1", "-n", "provider-ns", "-o", "yaml"); after != before {
		t.Errorf("the local Service was:\n%s\nand is:\n%s", before, after)
	}
}

func (w *walkthrough) deleteImport(t *testing.T) {
	kubectl(t, w.consumer, "delete", "serviceimport", "service1", "-n", "provider-ns")
	w.expectNothingDerived(t)
	expectExactly(t, answers(t, w.client, 10, "service1.provider-ns.svc.cluster.local"), "consumer/local") // SPEC I7
	apply(t, w.consumer, manifests.ServiceImport)
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := w.client.Curl(ctx, urls[1])
		return err
	})
}

func (w *walkthrough) deleteExport(t *testing.T) {
	kubectl(t, w.provider, "delete", "serviceexport", "service1", "-n", "provider-ns")
	kit.MustAwait(t, func(ctx context.Context) error {
		slices, err := w.importedSlices(ctx)
		if err == nil && slices > 0 {
			err = fmt.Errorf("%d imported EndpointSlices are left", slices)
		}
		return err
	})
	kit.MustAwait(t, func(ctx context.Context) error {
		if answer, err := w.client.Curl(ctx, urls[1]); err == nil {
			return fmt.Errorf("%s still answers", answer)
		}
		return nil
	})
	kubectl(t, w.consumer, "get", "serviceimport", "service1", "-n", "provider-ns") // the user's object stays (I3)
}

// expectNothingDerived waits until the derived Service, its slices and the name are gone.
func (w *walkthrough) expectNothingDerived(t *testing.T) {
	kit.MustAwait(t, func(ctx context.Context) error {
		_, err := w.consumer.Client.CoreV1().Services("provider-ns").Get(ctx, "amcs-service1", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the derived Service is still there (error %v)", err)
		}
		slices, err := w.importedSlices(ctx)
		if err == nil && slices > 0 {
			err = fmt.Errorf("%d imported EndpointSlices are left", slices)
		}
		return err
	})
	kit.MustAwait(t, func(ctx context.Context) error {
		reply, err := w.consumer.Ask(ctx, "service1.provider-ns.svc.clusterset.local.", dns.TypeA)
		if err == nil && reply.Rcode != dns.RcodeNameError {
			err = fmt.Errorf("the name still answers %s %v", dns.RcodeToString[reply.Rcode], reply.Answer)
		}
		return err
	})
}

func (w *walkthrough) importedSlices(ctx context.Context) (int, error) {
	list, err := w.consumer.Client.DiscoveryV1().EndpointSlices("provider-ns").
		List(ctx, metav1.ListOptions{LabelSelector: "multicluster.kubernetes.io/service-name=service1"})
	if err != nil {
		return 0, err
	}
	return len(list.Items), nil
}
