package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
// objects by now is somebody's.
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
