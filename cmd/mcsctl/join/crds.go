package join

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// missingCRDs are those that a cluster lacks. What is there is left as it is, of whatever version: somebody else may need it so.
func missingCRDs(ctx context.Context, c *members.Cluster) (missing []*unstructured.Unstructured, err error) {
	all, err := CRDs()
	if err != nil {
		return nil, err
	}
	for _, crd := range all {
		_, err := objectsOf(ctx, c, crd, metav1.NamespaceDefault)
		switch {
		case errors.Is(err, mcsapi.ErrNotServed):
			missing = append(missing, crd)
		case err != nil:
			return nil, fmt.Errorf("asking %s for %s: %s", c.Origin, crd.GetName(), members.Brief(err))
		}
	}
	return missing, nil
}

// objectsOf returns how many objects of a CRD there are in a namespace, or in all for "".
func objectsOf(ctx context.Context, c *members.Cluster, crd *unstructured.Unstructured, namespace string) (int, error) {
	if strings.HasPrefix(crd.GetName(), "serviceexports.") {
		list, _, err := c.Exports(ctx, namespace, metav1.ListOptions{})
		return len(list), err
	}
	list, _, err := c.Imports(ctx, namespace, metav1.ListOptions{})
	return len(list), err
}
