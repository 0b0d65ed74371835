// Package members finds the clusters that a command is about and reads single objects of theirs.
//
// Clusters come from flags, from the contexts of a kubeconfig, or, by default, from one consumer: the kubeconfig's current
// context, and the members that Secrets there register. The package reads as little as a member's read-only identity may,
// which is to list: one object is asked for by a list with a selector of its name, which costs a server what a get does.
// It never judges what it found, and writes nothing.
package members

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Cluster is one cluster of a clusterset, and how to reach it.
type Cluster struct {
	// ID is the cluster id: the one that it is registered under, where that is known.
	ID string
	// Origin says where the cluster was found, for people: "context c1", "Secret mcs-system/c2".
	Origin string
	// Context is the kubeconfig's context; empty for a cluster that a Secret registers, and in a pod. Kubeconfig is the file, where
	// it is not the one that programs take by themselves.
	Context, Kubeconfig string
	// Provider and Consumer are its roles.
	Provider, Consumer bool
	// Limits are what its registration trusts it with; those that a controller has as flags are not known here.
	Limits registration.Limits
	// Registered says that a Secret registers the cluster, and only that is known of it.
	Registered bool
	// Home says that this is where the Secrets that register members, and the controller, are looked for.
	Home bool
	// Err says why the cluster can't be asked at all, such as a broken kubeconfig; the clients are nil then.
	Err error

	Config *rest.Config
	Client *kubeclient.Client
	Kube   kubernetes.Interface
	mcs    map[string]rest.Interface // by version
}

// Connect makes the clients of a cluster; nothing is sent yet. Requests end after timeout.
func (c *Cluster) Connect(cfg *rest.Config, timeout time.Duration) *Cluster {
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout, cfg.UserAgent = timeout, "mcsctl"
	cfg.QPS, cfg.Burst = -1, -1 // a handful of requests, all at once
	cfg.Wrap(track)
	c.Config = cfg
	if c.Client, c.Err = kubeclient.New(cfg); c.Err != nil {
		return c
	}
	c.Config = c.Client.Config
	if c.Kube, c.Err = kubernetes.NewForConfigAndClient(c.Config, c.Client.HTTP); c.Err != nil {
		return c
	}
	c.mcs = map[string]rest.Interface{}
	for _, version := range mcsapi.Versions {
		if c.mcs[version], c.Err = mcsapi.NewClientWith(c.Client, version); c.Err != nil {
			return c
		}
	}
	return c
}

// Flags are the flags that make mcsctl and kubectl act on this cluster, for advice: " --context c1", or "" in a pod. Of a cluster that a
// Secret registers nobody here knows the context, so they name one to fill in: a command without would act on another cluster.
func (c *Cluster) Flags() shell.Text {
	switch {
	case c.Registered:
		return shell.Command(" --context CONTEXT-OF-%s", c.ID)
	case c.Context == "":
		return ""
	}
	return contextFlags(c.Kubeconfig, c.Context)
}

func contextFlags(kubeconfig, context string) (flags shell.Text) {
	if kubeconfig != "" {
		flags = shell.Command(" --kubeconfig %s", kubeconfig)
	}
	if context != "" {
		flags += shell.Command(" --context %s", context)
	}
	return flags
}

// MCS is the client of the MCS API in a version, one of [mcsapi.Versions], for writes.
func (c *Cluster) MCS(version string) rest.Interface { return c.mcs[version] }

// Named selects the one object of a name.
func Named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// list lists a resource of the MCS API in the first version that the server serves, which it returns.
func list[T any, L runtime.Object](
	ctx context.Context, c *Cluster, resource, ns string, opts metav1.ListOptions, empty func() L, items func(L) ([]T, metav1.ListMeta),
) (all []T, version string, err error) {
	for _, version := range mcsapi.Versions {
		all, err := kubeclient.All(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) ([]T, metav1.ListMeta, error) {
			page := empty()
			err := c.mcs[version].Get().NamespaceIfScoped(ns, ns != "").Resource(resource).
				VersionedParams(&opts, metav1.ParameterCodec).Do(ctx).Into(page)
			objects, meta := items(page)
			return objects, meta, err
		})
		if apierrors.IsNotFound(err) {
			continue
		}
		return all, version, err
	}
	return nil, "", fmt.Errorf("%s.%s: %w", resource, mcsapi.Group, mcsapi.ErrNotServed)
}

// Exports lists ServiceExports, of all namespaces for "", with the API version that the server has.
func (c *Cluster) Exports(ctx context.Context, ns string, opts metav1.ListOptions) ([]mcs.ServiceExport, string, error) {
	return list(ctx, c, "serviceexports", ns, opts, func() *mcs.ServiceExportList { return &mcs.ServiceExportList{} },
		func(l *mcs.ServiceExportList) ([]mcs.ServiceExport, metav1.ListMeta) {
			return mcsapi.OnlyWellformed(l.Items, true), l.ListMeta
		})
}

// Imports lists ServiceImports, as [Cluster.Exports] does.
func (c *Cluster) Imports(ctx context.Context, ns string, opts metav1.ListOptions) ([]mcs.ServiceImport, string, error) {
	return list(ctx, c, "serviceimports", ns, opts, func() *mcs.ServiceImportList { return &mcs.ServiceImportList{} },
		func(l *mcs.ServiceImportList) ([]mcs.ServiceImport, metav1.ListMeta) {
			return mcsapi.OnlyWellformed(l.Items, true), l.ListMeta
		})
}

// Export returns one ServiceExport, nil if there is none.
func (c *Cluster) Export(ctx context.Context, key types.NamespacedName) (*mcs.ServiceExport, error) {
	items, _, err := c.Exports(ctx, key.Namespace, Named(key.Name))
	return of(key, items), err
}

// Import returns one ServiceImport, nil if there is none.
func (c *Cluster) Import(ctx context.Context, key types.NamespacedName) (*mcs.ServiceImport, error) {
	items, _, err := c.Imports(ctx, key.Namespace, Named(key.Name))
	return of(key, items), err
}

// Service returns one Service, nil if there is none.
func (c *Cluster) Service(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	list, err := c.Kube.CoreV1().Services(key.Namespace).List(ctx, Named(key.Name))
	if err != nil {
		return nil, err
	}
	return of(key, list.Items), nil
}

// Slices returns the EndpointSlices of a namespace that have a label.
func (c *Cluster) Slices(ctx context.Context, ns, label, value string) ([]discoveryv1.EndpointSlice, error) {
	opts := metav1.ListOptions{LabelSelector: label + "=" + value}
	return kubeclient.All(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
		list, err := c.Kube.DiscoveryV1().EndpointSlices(ns).List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return mcsapi.OnlyWellformed(list.Items, true), list.ListMeta, nil
	})
}

// UID is that of namespace kube-system, which tells one cluster from another; "" where it may not be read.
func (c *Cluster) UID(ctx context.Context) (types.UID, error) {
	ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return ns.UID, nil
}

// Version is the API server's version.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	body, err := c.Kube.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	return gitVersion(body)
}

// Unreachable says whether err means that the server gave no answer at all, as against an answer that is an error.
func Unreachable(err error) bool {
	var status apierrors.APIStatus
	return err != nil && !errors.As(err, &status) && !errors.Is(err, mcsapi.ErrNotServed)
}

// Brief is an error as a person needs it: without the request that it came from.
func Brief(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		if request.Timeout() {
			return "no answer in time"
		}
		if errors.Is(err, context.Canceled) {
			return "no answer before the command had to end"
		}
		return request.Err.Error()
	}
	return err.Error()
}

// of returns the object of a name, nil if it is not there: a server may answer with another one than it was asked for.
func of[T any, P interface {
	*T
	metav1.Object
}](key types.NamespacedName, items []T) *T {
	for i := range items {
		if o := P(&items[i]); o.GetNamespace() == key.Namespace && o.GetName() == key.Name {
			return &items[i]
		}
	}
	return nil
}

func first[T any](items []T) *T {
	if len(items) == 0 {
		return nil
	}
	return &items[0]
}
