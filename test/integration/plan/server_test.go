package plan

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// server is how a walk reaches the API server.
type server struct {
	kube    kubernetes.Interface
	imports rest.Interface
}

// newWalk makes a namespace for a walk.
func newWalk(t *testing.T, c *controlplane.Cluster, version, name string, r *rand.Rand) *walk {
	t.Helper()
	config := rest.CopyConfig(c.Config())
	config.QPS, config.Burst = -1, -1
	kube, err := kubernetes.NewForConfig(config)
	kit.Must(t, err)
	imports, err := mcsapi.NewClient(config, version)
	kit.Must(t, err)
	_, err = kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	kit.Must(t, err)
	return &walk{
		r: r, key: types.NamespacedName{Namespace: name, Name: "service1"},
		server: &server{kube, imports}, providers: map[string]*provider{},
	}
}

// held reads what is there from the API server itself.
func (w *walk) held(t *testing.T) plan.Held {
	t.Helper()
	ctx := t.Context()
	h := plan.Held{Namespace: true, Import: w.getImport(t)}
	service, err := w.server.kube.CoreV1().Services(w.key.Namespace).Get(ctx, plan.DerivedName(w.key.Name), metav1.GetOptions{})
	switch {
	case err == nil:
		h.Derived = service
	case !apierrors.IsNotFound(err):
		t.Fatal(err)
	}
	list, err := w.server.kube.DiscoveryV1().EndpointSlices(w.key.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelManagedBy + "=" + mcsapi.ManagedBy,
	})
	kit.Must(t, err)
	for i := range list.Items {
		h.Slices = append(h.Slices, &list.Items[i])
	}
	return h
}

func (w *walk) getImport(t *testing.T) *mcs.ServiceImport {
	t.Helper()
	out := &mcs.ServiceImport{}
	err := w.server.imports.Get().Namespace(w.key.Namespace).Resource(mcs.ServiceImportPluralName).Name(w.key.Name).Do(t.Context()).Into(out)
	if apierrors.IsNotFound(err) {
		return nil
	}
	kit.Must(t, err)
	return out
}

// apply makes one write of a plan.
func (w *walk) apply(t *testing.T, a plan.Action) error {
	t.Helper()
	switch o := a.Object.(type) {
	case *mcs.ServiceImport:
		return w.write(t.Context(), w.server.imports, mcs.ServiceImportPluralName, a, o)
	case *corev1.Service:
		return w.write(t.Context(), w.server.kube.CoreV1().RESTClient(), "services", a, o)
	case *discoveryv1.EndpointSlice:
		return w.write(t.Context(), w.server.kube.DiscoveryV1().RESTClient(), "endpointslices", a, o)
	}
	t.Fatalf("%T in a plan", a.Object)
	return nil
}

func (w *walk) write(ctx context.Context, client rest.Interface, resource string, a plan.Action, body any) error {
	var request *rest.Request
	switch a.Verb {
	case plan.Create:
		request = client.Post().Body(body)
	case plan.Update:
		request = client.Put().Name(a.Object.GetName()).Body(body)
	case plan.Patch:
		request = client.Patch(types.MergePatchType).Name(a.Object.GetName()).Body(a.Patch)
	case plan.PatchStatus:
		request = client.Patch(types.MergePatchType).Name(a.Object.GetName()).SubResource("status").Body(a.Patch)
	case plan.Delete:
		request = client.Delete().Name(a.Object.GetName())
	}
	result := request.Namespace(w.key.Namespace).Resource(resource).Do(ctx)
	if err := result.Error(); err != nil || a.Verb == plan.Create || a.Verb == plan.Delete {
		return err
	}
	changed, err := result.Get()
	if err != nil {
		return err
	}
	object, err := meta.Accessor(changed)
	if err == nil && object.GetResourceVersion() == a.Object.GetResourceVersion() {
		return errors.New("the write changes nothing")
	}
	return err
}
