package join

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// install installs those CRDs that a cluster lacks, and waits until they are served. What is there is left as it is, of
// whatever version: somebody else may need it so.
func (r *Request) install(ctx context.Context, c *members.Cluster) error {
	objects, err := CRDs()
	if err != nil {
		return err
	}
	for _, object := range objects {
		resource := object.GetName()[:len(object.GetName())-len("."+mcsapi.Group)]
		served, err := serves(ctx, c, resource)
		if err != nil {
			return err
		}
		if served {
			continue
		}
		r.Progress("%s: installing CRD %s", c.Origin, object.GetName())
		if err := apply(ctx, c, object); err != nil {
			return err
		}
		err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
			return serves(ctx, c, resource)
		})
		if err != nil {
			return fmt.Errorf("%s does not serve %s within %s after its CRD was installed: %w", c.Origin, resource, r.Wait, err)
		}
	}
	return nil
}

// serves says whether the server has a resource of the MCS API.
func serves(ctx context.Context, c *members.Cluster, resource string) (bool, error) {
	var err error
	if resource == "serviceexports" {
		_, _, err = c.Exports(ctx, metav1.NamespaceDefault, members.Named("none"))
	} else {
		_, _, err = c.Imports(ctx, metav1.NamespaceDefault, members.Named("none"))
	}
	if errors.Is(err, mcsapi.ErrNotServed) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking %s for %s: %s", c.Origin, resource, members.Brief(err))
	}
	return true, nil
}
