package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

var (
	imports = schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1beta1", Resource: "serviceimports"}
	slicesV = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
)

// namespaced makes a new namespace in a cluster and returns its name.
func namespaced(t testing.TB, c *controlplane.Cluster) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	ns, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// apply applies YAML in which NS stands for a namespace.
func apply(t testing.TB, c *controlplane.Cluster, ns, yaml string) {
	t.Helper()
	if err := c.ApplyYAML(t.Context(), []byte(strings.ReplaceAll(yaml, "NS", ns))); err != nil {
		t.Fatal(err)
	}
}

// remove deletes an object.
func remove(t testing.TB, c *controlplane.Cluster, gvr schema.GroupVersionResource, ns, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config())
	if err == nil {
		err = client.Resource(gvr).Namespace(ns).Delete(t.Context(), name, metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// records are the records of a section as text, sorted, without OPT.
func records(section []dns.RR) []string {
	texts := []string{}
	for _, rr := range section {
		if rr.Header().Rrtype != dns.TypeOPT {
			texts = append(texts, strings.ReplaceAll(rr.String(), "\t", " "))
		}
	}
	slices.Sort(texts)
	return texts
}

// want is what a question has to be answered with.
type want struct {
	name   string
	qtype  uint16
	rcode  int
	answer []string // records as text, sorted
	extra  []string // not looked at where nil
}

// answers waits until the server answers as wanted.
func (s *server) answers(w want) {
	s.t.Helper()
	s.await(fmt.Sprintf("%s %s", w.name, dns.TypeToString[w.qtype]), func() error { return w.check(s.ask(w.name, w.qtype)) })
}

func (w want) check(r *dns.Msg) error {
	if r.Rcode != w.rcode {
		return fmt.Errorf("%s, not %s", dns.RcodeToString[r.Rcode], dns.RcodeToString[w.rcode])
	}
	if got := records(r.Answer); !slices.Equal(got, append([]string{}, w.answer...)) {
		return fmt.Errorf("answer %q, not %q", got, w.answer)
	}
	if got := records(r.Extra); w.extra != nil && !slices.Equal(got, w.extra) {
		return fmt.Errorf("additional %q, not %q", got, w.extra)
	}
	if r.Rcode != dns.RcodeServerFailure && (len(w.answer) == 0) != (len(r.Ns) == 1) {
		return fmt.Errorf("authority %q", records(r.Ns))
	}
	return nil
}

// unlabel takes the label that makes an EndpointSlice one of a multi-cluster service.
func unlabel(t testing.TB, c *controlplane.Cluster, ns, name string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err == nil {
		patch := []byte(`{"metadata":{"labels":{"multicluster.kubernetes.io/service-name":null}}}`)
		_, err = client.DiscoveryV1().EndpointSlices(ns).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func deleteNamespace(t testing.TB, cfg *rest.Config, ns string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	if err == nil {
		err = client.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
