package join

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// FieldManager is the field manager of what is applied.
const FieldManager = "mcsctl"

// Request is a wish to join.
type Request struct {
	ID string
	// From is the cluster that joins, with the credentials of a person who may make roles there.
	From *members.Cluster
	// Set is the clusterset that it joins; the Secret goes to its home.
	Set *members.Set
	// Role is "provider", "consumer", "both", or "" for what fits the controller at home.
	Role string
	// Server is the URL at which the controller reaches the cluster; empty means the one of the kubeconfig.
	Server string
	// PodCIDRs are the ranges of the pods of the cluster that joins, where its nodes don't tell.
	PodCIDRs []netip.Prefix
	// Limits are what flags say of the registration's limits, by name; "" says nothing. [AnyEndpoints] declares no ranges.
	Limits map[string]string
	// Said is what flags say now, by their names, of what is remembered; see [AnnotationSaid].
	Said map[string]string
	// CRDs installs the CRDs in both clusters, where they are missing.
	CRDs bool
	// Wait is how long the cluster may take to issue the token.
	Wait time.Duration
	// Progress is told of each step.
	Progress func(format string, args ...any)

	podCIDRsGiven        bool
	said                 map[string]string // now or earlier
	limits               map[string]string // of the registration
	declared, undeclared string            // who told the ranges of endpoints, or why none are declared
}

func (r *Request) role() string {
	switch {
	case r.Role != "":
		return r.Role
	case r.Set.Controller != nil && r.Set.Controller.Self != "":
		return "provider" // each cluster has a controller of its own, which only reads the others
	}
	return "both"
}

// fleet says that the controller writes to the member, too.
func (r *Request) fleet() bool { return r.role() != "provider" }

func (r *Request) server() string {
	if r.Server != "" {
		return r.Server
	}
	return r.From.Config.Host
}

// Check looks at both clusters, returns why the one can't join, and fills in its pod ranges where the request left them out.
func (r *Request) Check(ctx context.Context) error {
	if r.Set.SecretsErr != nil {
		return fmt.Errorf("the members of %s are not known: %w", r.Set.Home().Origin, r.Set.SecretsErr)
	}
	r.recall()
	uid, err := r.From.UID(ctx)
	if err != nil {
		return fmt.Errorf("%s (%s) can't be reached: %s; want a context that works", r.From.Origin, r.From.Config.Host, members.Brief(err))
	}
	if r.podCIDRsGiven = len(r.PodCIDRs) > 0; !r.podCIDRsGiven {
		if r.PodCIDRs, err = PodCIDRs(ctx, r.From); err != nil {
			return err
		}
	}
	_, _, err = r.From.Exports(ctx, metav1.NamespaceDefault, members.Named("none"))
	if err != nil && !errors.Is(err, mcsapi.ErrNotServed) {
		return fmt.Errorf("asking %s for ServiceExports: %w", r.From.Origin, err)
	}
	n := Newcomer{Party: Party{ID: r.ID, Origin: r.From.Origin, UID: uid, Pods: r.PodCIDRs}, ServesExports: err == nil || r.CRDs}
	if err := Refuse(n, r.others(ctx)); err != nil {
		return err
	}
	return r.declare(ctx)
}

// others are the cluster that is joined, and its members, as far as they can be looked at.
func (r *Request) others(ctx context.Context) []Party {
	home := r.Set.Home()
	own := Party{ID: home.ID, Origin: home.Origin}
	own.UID, _ = home.UID(ctx)
	own.Pods, _ = PodCIDRs(ctx, home)
	own.Services = serviceCIDRs(ctx, home)
	if !home.Consumer && !home.Provider {
		own.UID, own.Services = "", nil // a hub, which is no member, may join as one
	}
	out := make([]Party, len(r.Set.Secrets))
	var wg sync.WaitGroup
	for i := range r.Set.Secrets {
		s := &r.Set.Secrets[i]
		out[i] = Party{ID: s.Labels[clusters.LabelMember], Origin: "Secret " + s.Namespace + "/" + s.Name}
		out[i].Pods, _ = ParseCIDRs(strings.Split(s.Annotations[AnnotationPodCIDRs], ","))
		wg.Go(func() {
			reg := clusters.Registered(s)
			if c := (&members.Cluster{Err: reg.Err}); reg.Err == nil && c.Connect(reg.Config, home.Config.Timeout).Err == nil {
				out[i].UID, _ = c.UID(ctx)
			}
		})
	}
	wg.Wait()
	return append([]Party{own}, out...)
}

// PodCIDRs are the ranges of a cluster's nodes; none where the nodes have none.
func PodCIDRs(ctx context.Context, c *members.Cluster) ([]netip.Prefix, error) {
	all, err := kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (cidrs []string, meta metav1.ListMeta, err error) {
		nodes, err := c.Kube.CoreV1().Nodes().List(ctx, opts)
		if err != nil {
			return nil, meta, err
		}
		for i := range nodes.Items {
			cidrs = append(cidrs, nodes.Items[i].Spec.PodCIDRs...)
		}
		return cidrs, nodes.ListMeta, nil
	})
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the nodes of %s: %w", c.Origin, err)
	}
	ranges, _ := ParseCIDRs(all)
	return aggregate(ranges), nil
}

func serviceCIDRs(ctx context.Context, c *members.Cluster) []netip.Prefix {
	list, err := c.Kube.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // older than 1.33, or hidden
	}
	var all []string
	for i := range list.Items {
		all = append(all, list.Items[i].Spec.CIDRs...)
	}
	ranges, _ := ParseCIDRs(all)
	return ranges
}

// Do makes the cluster a member. It may be done again: what is there already stays, or is brought up to date.
func (r *Request) Do(ctx context.Context) error {
	if err := r.Check(ctx); err != nil {
		return err
	}
	if r.CRDs {
		for _, c := range []*members.Cluster{r.From, r.Set.Home()} {
			if err := r.install(ctx, c); err != nil {
				return err
			}
		}
	}
	objects, err := Identity(r.Set.Namespace, r.fleet())
	if err != nil {
		return err
	}
	r.Progress("%s: making the identity %s/%s", r.From.Origin, r.Set.Namespace, account)
	for _, object := range objects {
		if err := apply(ctx, r.From, object); err != nil {
			return err
		}
	}
	r.Progress("%s: waiting for its token", r.From.Origin)
	credentials, err := r.token(ctx)
	if err != nil {
		return err
	}
	r.Progress("%s: trying it", r.From.Origin)
	if err := r.try(ctx, credentials); err != nil {
		return err
	}
	kubeconfig, err := credentials.Kubeconfig(r.ID)
	if err != nil {
		return err
	}
	home := r.Set.Home()
	r.Progress("%s: registering %s by Secret %s/%s", home.Origin, r.ID, r.Set.Namespace, r.ID)
	if r.declared != "" {
		r.Progress("%s: endpoints must be in %s (%s); --endpoint-cidrs changes it", r.ID, r.limits[clusters.LimitEndpointCIDRs], r.declared)
	}
	secret, err := r.registration(kubeconfig)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: r.Set.Namespace}}
	for _, object := range []runtime.Object{namespace, secret} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return err
		}
		if err := apply(ctx, home, &unstructured.Unstructured{Object: content}); err != nil {
			return err
		}
	}
	return nil
}

// Warnings are what does not speak against joining, but may surprise; after [Request.Do].
func (r *Request) Warnings() (out []string) {
	u, err := url.Parse(r.server())
	if err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()) {
		out = append(out, fmt.Sprintf("%s is an address of this machine only; a controller in a pod needs --server with one that it reaches", r.server()))
	}
	if len(r.PodCIDRs) == 0 {
		out = append(out, fmt.Sprintf("the pod ranges of %s are not known, so whether they overlap was not checked; --pod-cidrs tells them", r.ID))
	}
	if r.undeclared != "" {
		out = append(out, fmt.Sprintf("endpoints of %s can have any address: %s; --endpoint-cidrs declares the ranges that they must be in", r.ID, r.undeclared))
	}
	return out
}

// token waits until the cluster has issued the identity's token.
func (r *Request) token(ctx context.Context) (*Credentials, error) {
	c := &Credentials{Server: r.server(), ServerName: r.From.Config.ServerName}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
		s, err := r.From.Kube.CoreV1().Secrets(r.Set.Namespace).Get(ctx, tokenSecret, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		c.Token, c.CA = string(s.Data[corev1.ServiceAccountTokenKey]), s.Data[corev1.ServiceAccountRootCAKey]
		return c.Token != "", nil
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("%s issued no token for Secret %s/%s within %s; does its kube-controller-manager run?", r.From.Origin, r.Set.Namespace, tokenSecret, r.Wait)
	}
	return c, err
}

// try reads a ServiceExport with the new credentials, at the address that this program uses.
func (r *Request) try(ctx context.Context, c *Credentials) error {
	here := *c
	here.Server = r.From.Config.Host
	content, err := here.Kubeconfig(r.ID)
	if err != nil {
		return err
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(content)
	if err != nil {
		return err
	}
	as := (&members.Cluster{}).Connect(cfg, r.From.Config.Timeout)
	if as.Err != nil {
		return as.Err
	}
	// A role that was just bound takes a moment to count.
	var last error
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
		_, _, last = as.Exports(ctx, metav1.NamespaceDefault, members.Named("none"))
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the new identity can't read ServiceExports at %s: %s", here.Server, members.Brief(cmp.Or(last, err)))
	}
	return nil
}

// DryRun returns what [Request.Do] would apply, as YAML, with a placeholder for the token.
func (r *Request) DryRun(ctx context.Context) (string, error) {
	if err := r.Check(ctx); err != nil {
		return "", err
	}
	objects, err := Identity(r.Set.Namespace, r.fleet())
	if err != nil {
		return "", err
	}
	if r.CRDs {
		crds, err := CRDs()
		if err != nil {
			return "", err
		}
		objects = append(crds, objects...)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# In %s, the cluster that joins:\n", r.From.Origin)
	for _, object := range objects {
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	c := Credentials{Server: r.server(), CA: caOf(r.From.Config), ServerName: r.From.Config.ServerName,
		Token: fmt.Sprintf("<the token of Secret %s/%s of the cluster that joins>", r.Set.Namespace, tokenSecret)}
	kubeconfig, err := c.Kubeconfig(r.ID)
	if err != nil {
		return "", err
	}
	secret, err := r.registration(nil)
	if err != nil {
		return "", err
	}
	secret.Data, secret.StringData = nil, map[string]string{clusters.KeyKubeconfig: string(kubeconfig)}
	text, err := yaml.Marshal(secret)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "---\n# In %s, where the controller looks for members:\n%s", r.Set.Home().Origin, text)
	return b.String(), nil
}

func caOf(cfg *rest.Config) []byte {
	cfg = rest.CopyConfig(cfg)
	if rest.LoadTLSFiles(cfg) != nil {
		return nil
	}
	return cfg.CAData
}

// apply applies one object, server-side.
func apply(ctx context.Context, c *members.Cluster, object *unstructured.Unstructured) error {
	client, err := dynamic.NewForConfigAndClient(c.Config, c.Client.HTTP)
	if err != nil {
		return err
	}
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	target := dynamic.ResourceInterface(client.Resource(resource))
	if object.GetNamespace() != "" {
		target = client.Resource(resource).Namespace(object.GetNamespace())
	}
	_, err = target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: FieldManager, Force: object.GetKind() == "Secret"})
	if err != nil {
		return fmt.Errorf("applying %s %s in %s: %w", object.GetKind(), object.GetName(), c.Origin, err)
	}
	return nil
}
