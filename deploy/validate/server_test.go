package validate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/clusterset/multicluster/test/controlplane"
)

// A server is an API server as its administrator sees it.
type server struct {
	*controlplane.Cluster
	kube    kubernetes.Interface
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func newServer(t *testing.T, cluster *controlplane.Cluster) *server {
	t.Helper()
	kube, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	config := cluster.Config()
	config.WarningHandler = rest.NoWarnings{} // an inventory takes in what is deprecated, too
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &server{cluster, kube, objects, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube.Discovery()))}
}

// as returns a client for objects as another person.
func (s *server) as(t *testing.T, user string) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(s.ConfigFor(user))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// resource returns the client for an object's kind and namespace.
func (s *server) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return s.objects.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
	}
	return s.objects.Resource(mapping.Resource), nil
}

// apply applies an object, with strict validation of its fields: what the server does not know is an error, not dropped.
func (s *server) apply(ctx context.Context, o *unstructured.Unstructured, dryRun bool) error {
	client, err := s.resource(o)
	if err != nil {
		return err
	}
	body, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	opts := metav1.PatchOptions{FieldManager: "validate", Force: &force, FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		opts.DryRun = []string{metav1.DryRunAll}
	}
	_, err = client.Patch(ctx, o.GetName(), types.ApplyPatchType, body, opts)
	return err
}

// applyAll applies objects in their order, first all as a dry run, then for real. Namespaces are there for the dry run.
func (s *server) applyAll(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, dryRun := range []bool{true, false} {
		for _, o := range objects {
			err := s.apply(t.Context(), o, dryRun && o.GetKind() != "Namespace")
			if err != nil {
				t.Fatalf("applying %s %s (dry run: %t): %v", o.GetKind(), o.GetName(), dryRun, err)
			}
		}
	}
	s.mapper.Reset()
}

// deleteAll deletes objects in reverse order.
func (s *server) deleteAll(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range slices.Backward(objects) {
		client, err := s.resource(o)
		if err == nil {
			err = client.Delete(t.Context(), o.GetName(), metav1.DeleteOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) { // gone with its namespace
			t.Fatalf("deleting %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// inventory returns all that the server holds, as "kind namespace/name". What others make by themselves, at any time, is left
// out: events, and how the API server registers the groups of CRDs.
func (s *server) inventory(ctx context.Context) (map[string]bool, error) {
	return s.all(ctx, func(*unstructured.Unstructured) bool { return true })
}

// all returns those objects of the server that are asked for, as [server.inventory] does.
func (s *server) all(ctx context.Context, of func(*unstructured.Unstructured) bool) (map[string]bool, error) {
	lists, err := discovery.ServerPreferredResources(s.kube.Discovery())
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains([]string{"Event", "ComponentStatus", "APIService"}, r.Kind) {
				continue
			}
			objects, err := s.objects.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", r.Name, err)
			}
			for _, o := range objects.Items {
				if ofEveryNamespace(r.Kind, o.GetName()) || !of(&o) {
					continue
				}
				all[fmt.Sprintf("%s %s/%s", r.Kind, o.GetNamespace(), o.GetName())] = true
			}
		}
	}
	return all, nil
}

// ofEveryNamespace says whether an object is one that kube-controller-manager puts into every namespace, sooner or later.
func ofEveryNamespace(kind, name string) bool {
	return kind == "ServiceAccount" && name == "default" || kind == "ConfigMap" && name == "kube-root-ca.crt"
}

// awaitLeft waits until the server holds what it held before, and of more only what may stay.
func (s *server) awaitLeft(t *testing.T, before map[string]bool, mayStay ...string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		now, err := s.inventory(ctx)
		if err != nil {
			return err
		}
		var more []string
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if !before[name] && !slices.Contains(mayStay, name) {
				more = append(more, name)
			}
		}
		if len(more) > 0 {
			return fmt.Errorf("still there:\n  %s", strings.Join(more, "\n  "))
		}
		for name := range before {
			if !now[name] {
				return fmt.Errorf("%s is gone, too", name)
			}
		}
		return nil
	})
}

// stand returns what the server holds, but for what belongs to something else of that, as pods do, and what
// Kubernetes makes of Services.
func (s *server) stand(ctx context.Context) ([]string, error) {
	all, err := s.all(ctx, func(o *unstructured.Unstructured) bool {
		return len(o.GetOwnerReferences()) == 0 && o.GetKind() != "IPAddress" && o.GetKind() != "Endpoints"
	})
	return slices.Sorted(maps.Keys(all)), err
}

func (s *server) mustStand(t *testing.T) []string {
	t.Helper()
	all, err := s.stand(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitStand waits until the server holds exactly that.
func (s *server) awaitStand(t *testing.T, want []string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		got, err := s.stand(ctx)
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			err = fmt.Errorf("want (-), got (+):\n%s", diff)
		}
		return err
	})
}

func (s *server) mustInventory(t *testing.T) map[string]bool {
	t.Helper()
	all, err := s.inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// await polls a condition until it holds.
func await(t *testing.T, within time.Duration, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), within, errors.New("waited for "+within.String()))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil { // else it is but the deadline once more
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v: %v", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}
