package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// annotate sets an annotation of a ServiceExport or ServiceImport; nil takes it away.
func (c *cluster) annotate(t testing.TB, resource, ns, name, annotation string, value any) {
	t.Helper()
	text := "null"
	if value != nil {
		text = fmt.Sprintf("%q", value)
	}
	body := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, annotation, text)
	kit.Must(t, c.mcs.Patch(types.MergePatchType).Namespace(ns).Resource(resource).Name(name).Body([]byte(body)).Do(t.Context()).Error())
}

// wantMessage is a condition for eventually: the condition Ready of the export says what.
func (c *cluster) wantMessage(ns, name, what string) func() error {
	return func() error {
		e, err := c.getExport(ns, name)
		if err != nil {
			return err
		}
		if got := condition(e.Status.Conditions, "Ready"); got == nil || !strings.Contains(got.Message, what) {
			return fmt.Errorf("export %s/%s in %s says %+v, want %q", ns, name, c.Name(), e.Status.Conditions, what)
		}
		return nil
	}
}

// TestConsumers_P2: an export that names its consumers gets to these and to no other, whatever objects another holds; a
// change of the annotation brings and takes at once, and touches nothing else.
func TestConsumers_P2(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "consumers"
	namespace(t, ns, a, b, c)
	only := func(e *mcs.ServiceExport) {
		e.Annotations = map[string]string{mcsapi.AnnotationConsumers: "b,zz"}
	}
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	c.importOf(t, ns, "web") // a person of a cluster that is not named asks for it
	a.export(t, ns, "web", only)
	kit.Eventually(t, "the named one has it", b.wantAddresses(ns, "web", "a/10.1.0.5"))
	kit.Eventually(t, "served", b.wantImported(ns, "web"))
	kit.Eventually(t, "the export says to whom", a.wantMessage(ns, "web", "exported to b, zz only, by annotation clusterset.dev/consumers; not in the clusterset: zz"))
	kit.Eventually(t, "who asks is told why not", c.wantSaid(ns, "web", "Ready", "a (NotForThisCluster"))
	sentinel(t, ns, a, a, b, c)
	kit.Must(t, a.wantGone(ns, "web")()) // nobody else has any of it, the exporting cluster included
	kit.Must(t, c.wantNotServed(ns, "web")())

	c.service(t, ns, "web")
	c.slice(t, ns, "web", "x", []string{"10.3.0.5"})
	c.export(t, ns, "web")
	kit.Eventually(t, "an export of another cluster is merged where both are seen", b.wantAddresses(ns, "web", "a/10.1.0.5", "c/10.3.0.5"))
	for _, other := range []*cluster{a, c} {
		kit.Eventually(t, "and alone elsewhere", other.wantAddresses(ns, "web", "c/10.3.0.5"))
	}
	was, err := b.getService(ns, "amcs-web")
	kit.Must(t, err)
	a.annotate(t, "serviceexports", ns, "web", mcsapi.AnnotationConsumers, "a")
	kit.Eventually(t, "it goes from who is not named any more", b.wantAddresses(ns, "web", "c/10.3.0.5"))
	kit.Eventually(t, "and comes to who is", a.wantAddresses(ns, "web", "a/10.1.0.5", "c/10.3.0.5"))
	a.annotate(t, "serviceexports", ns, "web", mcsapi.AnnotationConsumers, "")
	kit.Eventually(t, "empty is nobody", a.wantAddresses(ns, "web", "c/10.3.0.5"))
	kit.Eventually(t, "which it says", a.wantMessage(ns, "web", "exported to no cluster"))
	a.annotate(t, "serviceexports", ns, "web", mcsapi.AnnotationConsumers, nil)
	for _, other := range []*cluster{a, b, c} {
		kit.Eventually(t, "without the annotation everybody has it", other.wantAddresses(ns, "web", "a/10.1.0.5", "c/10.3.0.5"))
	}
	if now, err := b.getService(ns, "amcs-web"); err != nil || now.UID != was.UID || now.Spec.ClusterIP != was.Spec.ClusterIP {
		t.Errorf("the derived Service did not outlive the change: %v, %v", now.Spec, err)
	}
}

// TestProviders_P2: an import that names its providers is made of their exports only, there and nowhere else.
func TestProviders_P2(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "providers"
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "web")
	}
	both := []string{"a/10.1.0.5", "b/10.2.0.5"}
	kit.Eventually(t, "both", c.wantAddresses(ns, "web", both...))
	c.annotate(t, "serviceimports", ns, "web", mcsapi.AnnotationProviders, "b")
	kit.Eventually(t, "one", c.wantAddresses(ns, "web", "b/10.2.0.5"))
	kit.Eventually(t, "said", c.wantSaid(ns, "web", "Restricted", "imported from b only", "left out: a"))
	kit.Eventually(t, "the others have both", a.wantAddresses(ns, "web", both...))
	c.annotate(t, "serviceimports", ns, "web", mcsapi.AnnotationProviders, "")
	kit.Eventually(t, "none", c.wantNotServed(ns, "web"))
	kit.Eventually(t, "the annotation stays with the import", c.wantSaid(ns, "web", "Restricted", "imported from no cluster"))
	settle(t, a, b, c)
	c.annotate(t, "serviceimports", ns, "web", mcsapi.AnnotationProviders, nil)
	kit.Eventually(t, "both again", c.wantAddresses(ns, "web", both...))
	kit.Eventually(t, "nothing left to say", c.wantSaid(ns, "web", "Restricted"))
}

// TestMemoryIsOnesOwn_P2_L9: a controller that starts while the exporting cluster is away gives a consumer that the export
// does not name nothing of what the one that is named remembers.
func TestMemoryIsOnesOwn_P2_L9(t *testing.T) {
	list := start(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"}, controlplane.Options{Name: "c", AuditLog: true})
	a, b, c := list[0], list[1], list[2]
	stop := run(t, register(list...), nil)
	const ns = "remembered"
	namespace(t, ns, a, b, c)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web", func(e *mcs.ServiceExport) { e.Annotations = map[string]string{mcsapi.AnnotationConsumers: "b"} })
	kit.Eventually(t, "b has it", b.wantAddresses(ns, "web", "a/10.1.0.5"))
	kit.Eventually(t, "and remembers it", b.wantImported(ns, "web"))
	stop()
	kit.Must(t, a.KillAPIServer())

	run(t, register(list...), nil)
	b.service(t, ns, "new")
	b.export(t, ns, "new")
	kit.Eventually(t, "the controller works", c.wantImported(ns, "new"))
	c.importOf(t, ns, "web")
	kit.Eventually(t, "what b remembers is not for c", c.wantSaid(ns, "web", "Ready", "not known now of a"))
	sentinel(t, ns, b, b, c)
	kit.Must(t, c.wantNotServed(ns, "web")())
	i, err := c.getImport(ns, "web")
	if err != nil || i.Annotations[mcsapi.AnnotationExports] != "" || len(i.Status.Clusters) > 0 {
		t.Errorf("import %+v, %v", i, err)
	}
	kit.Must(t, b.wantAddresses(ns, "web", "a/10.1.0.5")()) // b keeps all
}

// inUse returns the clusters whose slices the derived Service is served from, and the rank of each cluster's slices.
func (c *cluster) inUse(ns, name string) (clusters []string, ranks map[string]string, err error) {
	list, err := c.imported(ns, name)
	ranks = map[string]string{}
	for _, s := range list {
		from := s.Labels[mcsapi.LabelSourceCluster]
		ranks[from] = s.Annotations[mcsapi.AnnotationRank]
		if s.Labels[discoveryv1.LabelServiceName] == mcsapi.DerivedPrefix+name {
			clusters = append(clusters, from)
		}
	}
	slices.Sort(clusters)
	return clusters, ranks, err
}

// wantInUse is a condition for eventually: the derived Service is served from the slices of exactly these clusters.
func (c *cluster) wantInUse(ns, name string, want ...string) func() error {
	return func() error {
		got, ranks, err := c.inUse(ns, name)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("%s in %s is served from %v (ranks %v), want %v", name, c.Name(), got, ranks, want)
		}
		return err
	}
}

// ready makes the endpoints of a cluster's slice ready or not.
func (c *cluster) ready(t testing.TB, ns, slice string, ready bool) {
	t.Helper()
	s, err := c.kube.DiscoveryV1().EndpointSlices(ns).Get(t.Context(), slice, metav1.GetOptions{})
	kit.Must(t, err)
	for i := range s.Endpoints {
		s.Endpoints[i].Conditions.Ready, s.Endpoints[i].Conditions.Serving = &ready, &ready
	}
	_, err = c.kube.DiscoveryV1().EndpointSlices(ns).Update(t.Context(), s, metav1.UpdateOptions{})
	kit.Must(t, err)
}

// TestPreference_P3: the import's choice goes before the exports', which the oldest that makes one decides; fail-over and
// return cost one write per slice, and at rest nothing is written (S5).
func TestPreference_P3(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "preference"
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b, c} {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
		p.export(t, ns, "web")
	}
	all := []*cluster{a, b, c}
	for _, p := range all {
		kit.Eventually(t, "no preference", p.wantInUse(ns, "web", "a", "b", "c"))
		kit.Eventually(t, "served", p.wantImported(ns, "web"))
	}
	a.annotate(t, "serviceexports", ns, "web", mcsapi.AnnotationPrefer, "local,b")
	kit.Eventually(t, "local in a", a.wantInUse(ns, "web", "a"))
	kit.Eventually(t, "local in b", b.wantInUse(ns, "web", "b"))
	kit.Eventually(t, "local in c", c.wantInUse(ns, "web", "c"))
	if _, ranks, err := c.inUse(ns, "web"); err != nil || ranks["c"] != "" || ranks["b"] != "1" || ranks["a"] != "2" {
		t.Errorf("ranks in c: %v, %v", ranks, err)
	}
	b.annotate(t, "serviceimports", ns, "web", mcsapi.AnnotationPrefer, "a")
	kit.Eventually(t, "the import's own choice", b.wantInUse(ns, "web", "a"))
	settle(t, all...)

	count := func() (n int) {
		for _, r := range controllerRequests(t, b) {
			if r.Resource == "endpointslices.discovery.k8s.io" {
				n++
			}
		}
		return n
	}
	before := count()
	a.ready(t, ns, "web-x", false)
	kit.Eventually(t, "fail-over in b", b.wantInUse(ns, "web", "b", "c"))
	kit.Eventually(t, "and in a", a.wantInUse(ns, "web", "b"))
	settle(t, all...)
	if n := count() - before; n != 3 {
		t.Errorf("%d writes of slices in b for the fail-over of three, want 3", n)
	}
	a.ready(t, ns, "web-x", true)
	kit.Eventually(t, "back in b", b.wantInUse(ns, "web", "a"))
	kit.Eventually(t, "and in a", a.wantInUse(ns, "web", "a"))
	b.annotate(t, "serviceimports", ns, "web", mcsapi.AnnotationPrefer, "")
	kit.Eventually(t, "an empty choice is none, whatever exports say", b.wantInUse(ns, "web", "a", "b", "c"))
	settle(t, all...)
	rest := mutations(t, b)
	sentinel(t, ns, a, b)
	for _, r := range controllerRequests(t, b)[rest:] {
		if !strings.Contains(r.Name, "sentinel") {
			t.Errorf("written at rest: %+v", r)
		}
	}
}
