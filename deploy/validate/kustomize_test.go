package validate

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/clusterset/multicluster/test/controlplane"
)

// kustomizations are the folders below deploy/ that kustomize builds: all, but components, which are parts.
func kustomizations(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := fs.WalkDir(os.DirFS(deployDir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "kustomization.yaml" && !strings.HasPrefix(path, "components/") {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func kustomized(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// TestKustomizations builds every folder; the roles that a folder binds are in it, and so is every ServiceAccount but those of
// Kubernetes itself.
func TestKustomizations(t *testing.T) {
	for _, dir := range kustomizations(t) {
		t.Run(dir, func(t *testing.T) {
			objects := kustomized(t, dir)
			for _, o := range objects {
				if o.GetKind() != "ClusterRoleBinding" && o.GetKind() != "RoleBinding" {
					continue
				}
				binding := new(rbacv1.RoleBinding) // the other kind has the same fields
				strictly(t, o, binding)
				oneOf(t, objects, binding.RoleRef.Kind, binding.RoleRef.Name)
				for _, subject := range binding.Subjects {
					if subject.Namespace != metav1.NamespaceSystem {
						oneOf(t, objects, "ServiceAccount", subject.Name)
					}
				}
			}
		})
	}
}

// TestServerAccepts applies every folder to an API server, with nothing in it that the server does not know; then the
// Deployments' pods pass the admission of the namespace; and once it is deleted, nothing is left.
func TestServerAccepts(t *testing.T) {
	s := newServer(t, controlplane.ForTest(t, controlplane.Options{ControllerManager: true}))
	s.applyAll(t, kustomized(t, "crds"))
	if err := s.ApplyYAML(t.Context(), []byte(coreDNSAccount)); err != nil { // which the canary is run as
		t.Fatal(err)
	}
	for _, dir := range kustomizations(t) {
		if dir == "crds" {
			continue
		}
		t.Run(dir, func(t *testing.T) {
			objects := kustomized(t, dir)
			before := s.mustInventory(t)
			s.applyAll(t, objects)
			for _, o := range objects {
				if o.GetKind() == "Deployment" {
					s.awaitPods(t, o)
				}
			}
			s.deleteAll(t, objects)
			s.awaitLeft(t, before)
		})
	}
}

// awaitPods waits until the pods of a Deployment were admitted.
func (s *server) awaitPods(t *testing.T, deployment *unstructured.Unstructured) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		d, err := s.kube.AppsV1().Deployments(deployment.GetNamespace()).Get(ctx, deployment.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas > 0 {
			return nil // without a kubelet none becomes ready, and an update goes no further than its first pod
		}
		return fmt.Errorf("Deployment %s has %d pods as it wants them: %+v", d.Name, d.Status.UpdatedReplicas, d.Status.Conditions)
	})
}
