package program

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// ruled is a cluster whose Services are exported by rule, as a person with all rights sees it.
type ruled struct {
	*controlplane.Cluster
	t    *testing.T
	kube kubernetes.Interface
	mcs  rest.Interface
}

// permit installs the roles of deploy/rbac that the files name, and binds them to the user fleet.
func (c *ruled) permit(files ...string) {
	c.t.Helper()
	for _, file := range files {
		role, err := os.ReadFile("../../../deploy/rbac/" + file + ".yaml")
		if err != nil {
			c.t.Fatal(err)
		}
		binding := fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "multicluster:%[1]s"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: fleet}]
`, file)
		if err := c.ApplyYAML(c.t.Context(), bytes.TrimSpace(role), []byte(binding)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func newRuled(t *testing.T, c *controlplane.Cluster) *ruled {
	t.Helper()
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	client, err := mcsapi.NewClient(c.Config(), "v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	r := &ruled{Cluster: c, t: t, kube: kube, mcs: client}
	r.permit("consumer", "provider-read", "provider-export-status")
	return r
}

func (c *ruled) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *ruled) namespace(name, rule string) {
	c.t.Helper()
	kit.Namespace(c.t, c.kube, name, func(n *corev1.Namespace) {
		if rule != "" {
			n.Annotations = map[string]string{mcsapi.AnnotationExportSelector: rule}
		}
	})
}

func (c *ruled) service(ns, name, app string, change ...func(*corev1.Service)) {
	c.t.Helper()
	labelled := func(s *corev1.Service) { s.Labels = map[string]string{"app": app} }
	kit.Service(c.t, c.kube, ns, name, append([]func(*corev1.Service){labelled}, change...)...)
}

func (c *ruled) relabel(ns, name, app string) {
	c.t.Helper()
	_, err := c.kube.CoreV1().Services(ns).Patch(c.t.Context(), name, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{"app":%q}}}`, app), metav1.PatchOptions{})
	c.must(err)
}

func (c *ruled) annotate(ns string, rule string) {
	c.t.Helper()
	_, err := c.kube.CoreV1().Namespaces().Patch(c.t.Context(), ns, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, mcsapi.AnnotationExportSelector, rule), metav1.PatchOptions{})
	c.must(err)
}

func (c *ruled) export(ns, name string) *mcs.ServiceExport {
	c.t.Helper()
	e := &mcs.ServiceExport{}
	err := c.mcs.Get().Namespace(ns).Resource("serviceexports").Name(name).Do(c.t.Context()).Into(e)
	if apierrors.IsNotFound(err) {
		return nil
	}
	c.must(err)
	return e
}

// exports are the exports of a namespace, by name, "*" behind those made by rule.
func (c *ruled) exports(ns string) (names []string) {
	c.t.Helper()
	list := &mcs.ServiceExportList{}
	c.must(c.mcs.Get().Namespace(ns).Resource("serviceexports").Do(c.t.Context()).Into(list))
	for _, e := range list.Items {
		name := e.Name
		if e.Labels[mcsapi.LabelByRule] == "true" && e.Labels[mcsapi.LabelClusterSet] == "default" {
			name += "*"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *ruled) awaitExports(ns string, want ...string) {
	c.t.Helper()
	kit.True(c.t, fmt.Sprintf("the exports of %s in %s are %v", ns, c.Name(), want), func() bool {
		return slices.Equal(c.exports(ns), want)
	})
}

// awaitImport waits until a name is imported from the clusters, or, without any, not imported.
func (c *ruled) awaitImport(ns, name string, from ...string) {
	c.t.Helper()
	kit.True(c.t, fmt.Sprintf("%s/%s is imported into %s from %v", ns, name, c.Name(), from), func() bool {
		return slices.Equal(c.imported(ns, name), from)
	})
}

// imported are the clusters that a name is imported from.
func (c *ruled) imported(ns, name string) (clusters []string) {
	c.t.Helper()
	i := &mcs.ServiceImport{}
	err := c.mcs.Get().Namespace(ns).Resource("serviceimports").Name(name).Do(c.t.Context()).Into(i)
	if err != nil && !apierrors.IsNotFound(err) {
		c.must(err)
	}
	for _, cluster := range i.Status.Clusters {
		clusters = append(clusters, cluster.Cluster)
	}
	return clusters
}

// TestExportByRule_P1: in a fleet, with the rights that the manifests give, Services that the rule selects are exported, in
// clusters that permit it and as long as it selects them; what people export is theirs.
func TestExportByRule_P1(t *testing.T) {
	all := controlplane.AllForTest(t,
		controlplane.Options{Name: "a", ControllerManager: true, AuditLog: true}, controlplane.Options{Name: "b", AuditLog: true})
	a, b := newRuled(t, all[0]), newRuled(t, all[1])
	a.permit("export-by-rule")
	external := func(s *corev1.Service) {
		s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.org"}
	}
	for _, c := range []*ruled{a, b} {
		c.namespace("shop", "")
		c.namespace("team", "tier in (front)")
		c.namespace("quiet", "tier in front")
		c.service("shop", "web", "web")
		c.service("shop", "db", "db")
		c.service("shop", "ext", "web", external)
		c.service("shop", "hand", "web")
		c.service("team", "web", "web")
		c.service("team", "front", "db", func(s *corev1.Service) { s.Labels["tier"] = "front" })
		c.service("quiet", "web", "web")
		c.service("kube-system", "web", "web")
		byHand := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hand"}}
		c.must(c.mcs.Post().Namespace("shop").Resource("serviceexports").Body(byHand).Do(t.Context()).Error())
	}
	args := []string{"--export-selector=app=web"}
	for _, c := range []*ruled{a, b} {
		kubeconfig, err := c.KubeconfigFor("fleet")
		c.must(err)
		args = append(args, "--cluster", c.Name()+"="+kubeconfig)
	}
	p := start(t, "the controller", args...)

	a.awaitExports("shop", "hand", "web*")
	a.awaitExports("team", "front*")
	b.awaitImport("shop", "web", "a")
	kit.True(t, "who does not permit it is told of", func() bool {
		return p.said("level=WARN", "nothing is exported by rule", "cluster=b", "namespace=shop", "forbidden") != ""
	})
	b.awaitExports("shop", "hand")
	if p.said("quiet", "is not a label selector", "cluster=a") == "" || len(a.exports("quiet")) > 0 || len(a.exports("kube-system")) > 0 || len(a.exports("default")) > 0 {
		t.Errorf("a rule that is none: %v; of Kubernetes: %v, %v", a.exports("quiet"), a.exports("kube-system"), a.exports("default"))
	}

	t.Run("follows the labels", func(t *testing.T) {
		a.relabel("shop", "web", "other")
		a.awaitExports("shop", "hand")
		b.awaitImport("shop", "web")
		a.relabel("shop", "db", "web")
		a.relabel("shop", "web", "web")
		a.awaitExports("shop", "db*", "hand", "web*")
		b.awaitImport("shop", "web", "a")
	})
	t.Run("follows the namespace's rule", func(t *testing.T) {
		a.service("team", "back", "web", func(s *corev1.Service) { s.Labels["tier"] = "back" })
		a.annotate("team", "app=web,tier!=back") // of what the flag selects, too, not all labels are kept
		a.awaitExports("team", "web*")
		a.annotate("quiet", "app=web")
		a.awaitExports("quiet", "web*")
		a.annotate("quiet", "app web")
		b.awaitImport("team", "web", "a")
		a.annotate("team", "")
		a.awaitExports("team")
		b.awaitImport("team", "web")    // what a rule withdraws goes like what a person withdraws (E5)
		a.awaitExports("quiet", "web*") // a rule that can't be read is no reason to delete (L6)
	})
	t.Run("an export that is deleted comes back", func(t *testing.T) {
		was := a.export("shop", "db").UID
		a.must(a.mcs.Delete().Namespace("shop").Resource("serviceexports").Name("db").Do(t.Context()).Error())
		kit.True(t, "it is made anew", func() bool { e := a.export("shop", "db"); return e != nil && e.UID != was })
	})
	t.Run("goes with its Service", func(t *testing.T) {
		a.must(a.kube.CoreV1().Services("shop").Delete(t.Context(), "db", metav1.DeleteOptions{}))
		a.awaitExports("shop", "hand", "web*")
	})
	t.Run("a broken watch deletes nothing_L6", func(t *testing.T) { p.breaksWatches(a) })
	t.Run("one that loses the label is a person's_X5", func(t *testing.T) {
		a.must(a.mcs.Patch(types.MergePatchType).Namespace("shop").Resource("serviceexports").Name("web").
			Body([]byte(`{"metadata":{"labels":{"clusterset.dev/by-rule":null}}}`)).Do(t.Context()).Error())
		a.relabel("shop", "web", "other")
		a.service("shop", "last", "web")
		a.awaitExports("shop", "hand", "last*", "web")
	})
	t.Run("comes back with its CRD, before it is withdrawn anywhere_L6", func(t *testing.T) {
		b.awaitImport("shop", "last", "a")
		derived := func() types.UID {
			s, err := b.kube.CoreV1().Services("shop").Get(t.Context(), mcsapi.DerivedPrefix+"last", metav1.GetOptions{})
			b.must(err)
			return s.UID
		}
		was := derived()
		a.must(a.UninstallCRDs(t.Context()))
		a.must(a.InstallCRDs(t.Context()))
		a.awaitExports("shop", "last*")
		a.awaitExports("shop", "hand*", "last*") // what people exported is believed gone later, and then exported by rule
		if derived() != was {
			t.Error("the derived Service was made anew")
		}
	})
	if refused := p.refusedIn(a); len(refused) > 0 {
		t.Errorf("refused where it is permitted: %v", refused)
	}
	perNamespace := map[string]int{}
	for _, r := range p.refusedIn(b) {
		perNamespace[strings.Split(r, "/")[0]]++
	}
	if perNamespace["create shop"] != 1 || perNamespace["create team"] != 1 {
		t.Errorf("refused where it is not permitted, in each namespace: %v; want once", perNamespace)
	}
}

// breaksWatches cuts every watch, while a Service changes, and holds that nothing else is concluded from it.
func (p *process) breaksWatches(a *ruled) {
	p.t.Helper()
	was := a.export("shop", "web").UID
	a.must(a.KillAPIServer())
	a.must(a.StartAPIServer(p.t.Context()))
	kit.True(p.t, "the API server is back, and new Services are exported", func() bool {
		_, err := a.kube.CoreV1().Services("shop").Get(p.t.Context(), "web", metav1.GetOptions{})
		return err == nil
	})
	a.service("shop", "after", "web")
	a.awaitExports("shop", "after*", "hand", "web*")
	if now := a.export("shop", "web").UID; now != was {
		p.t.Errorf("the export was made anew: %s, was %s", now, was)
	}
	a.must(a.kube.CoreV1().Services("shop").Delete(p.t.Context(), "after", metav1.DeleteOptions{}))
	a.awaitExports("shop", "hand", "web*")
}

// refusedIn are the writes of exports that the cluster refused to the controller.
func (p *process) refusedIn(c *ruled) (list []string) {
	requests, err := c.AuditedRequests()
	c.must(err)
	for _, r := range requests {
		if strings.HasPrefix(r.UserAgent, "mcs-controller") && r.Resource == "serviceexports.multicluster.x-k8s.io" && r.Code == 403 {
			list = append(list, r.Verb+" "+r.Namespace+"/"+r.Name)
		}
	}
	return list
}
