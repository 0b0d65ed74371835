package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// created is what a request created, in order.
type created []creation

type creation struct {
	at     *members.Cluster
	object *unstructured.Unstructured
	uid    types.UID
}

// Undoing is how long deleting what was created may take, namespaces included.
const Undoing = 15 * time.Second

// undo deletes it, the last first, also when ctx has ended, and reports what stays.
func (list created) undo(ctx context.Context, progress func(string, ...any)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Undoing)
	defer cancel()
	for _, c := range slices.Backward(list) {
		if err := c.delete(ctx); err != nil {
			progress("warning: %s: rolling back, %s stays: %s", c.at.Origin, named(c.object), members.Brief(err))
			continue
		}
		progress("%s: rolling back, deleted %s", c.at.Origin, named(c.object))
	}
}

// delete deletes the object if it is still the one that was created, and waits until it is gone. A CRD by which there are
// objects by now is somebody's, and so is a namespace that somebody put something into.
func (c creation) delete(ctx context.Context) error {
	if c.object.GetKind() == kindCRD {
		n, err := objectsOf(ctx, c.at, c.object, metav1.NamespaceAll)
		if err != nil && !errors.Is(err, mcsapi.ErrNotServed) {
			return err
		}
		if n > 0 {
			return fmt.Errorf("there are %d objects of it by now", n)
		}
	}
	if c.object.GetKind() == kindNamespace {
		if err := vacant(ctx, c.at, c.object.GetName()); err != nil {
			return err
		}
	}
	client, err := clientFor(c.at, c.object)
	if err != nil {
		return err
	}
	err = client.Delete(ctx, c.object.GetName(), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(c.uid))})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := client.Get(ctx, c.object.GetName(), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		return fmt.Errorf("it is not gone after %s", Undoing)
	}
	return nil
}

// vacant returns what is in a namespace, other than what each namespace has, or why that can't be known.
func vacant(ctx context.Context, c *members.Cluster, namespace string) error {
	for _, is := range []struct{ kind, always string }{
		{"Pod", ""}, {"Service", ""}, {"Secret", ""}, {"ConfigMap", "kube-root-ca.crt"}, {"ServiceAccount", "default"},
	} {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(is.kind))
		object.SetNamespace(namespace)
		client, err := clientFor(c, object)
		if err != nil {
			return err
		}
		list, err := client.List(ctx, metav1.ListOptions{Limit: 2})
		if err != nil {
			return fmt.Errorf("asking whether it is empty: %w", err)
		}
		for i := range list.Items {
			if name := list.Items[i].GetName(); name != is.always {
				return fmt.Errorf("there is %s %s in it by now", is.kind, name)
			}
		}
	}
	return nil
}
