package join

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
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
	// Unchecked says that this machine does not reach Server, so that it is registered without being tried.
	Unchecked bool
	// PodCIDRs are the ranges of the pods of the cluster that joins, where its nodes don't tell.
	PodCIDRs []netip.Prefix
	// IgnoreRanges are the ids of clusters whose ranges don't count: they claim what is not theirs.
	IgnoreRanges []string
	// Limits are what flags say of the registration's limits, by name; "" says nothing. [AnyEndpoints] declares no ranges.
	Limits map[string]string
	// Said is what flags say now, by their names, of what is remembered; see [AnnotationSaid].
	Said map[string]string
	// CRDs installs the CRDs in both clusters, where they are missing.
	CRDs bool
	// Wait is how long the cluster may take to issue the token, and to let it in.
	Wait time.Duration
	// Progress is told of each step.
	Progress func(format string, args ...any)

	uid                  types.UID
	here, path           *clientcmdapi.Cluster // how this machine reaches the API server, and how the controller does
	services             []netip.Prefix
	parties              []Party // that were there before, without an earlier self
	podCIDRsGiven        bool
	said                 map[string]string // now or earlier
	limits               map[string]string // of the registration
	declared, undeclared string            // who told the ranges of endpoints, or why none are declared
	misfit               string            // what of the cluster lies outside of the ranges that are declared
	itself               bool              // the cluster is the home
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

// Check looks at both clusters, returns why the one can't join, and fills in its pod ranges where the request left them out.
func (r *Request) Check(ctx context.Context) error {
	if r.Set.SecretsErr != nil {
		return fmt.Errorf("the members of %s are not known: %w", r.Set.Home().Origin, r.Set.SecretsErr)
	}
	var err error
	if r.uid, err = r.From.UID(ctx); err != nil {
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
	r.services = serviceCIDRs(ctx, r.From)
	n := Newcomer{Party: Party{ID: r.ID, Origin: r.From.Origin, UID: r.uid, Server: r.From.Config.Host, Pods: r.PodCIDRs, Services: r.services}, ServesExports: err == nil || r.CRDs, Flags: r.From.Flags(), Registering: r.Set.Registering()}
	others := r.others(ctx)
	if err := ignoreRanges(others, r.IgnoreRanges); err != nil {
		return err
	}
	if err := Refuse(n, others); err != nil {
		return err
	}
	r.parties = slices.DeleteFunc(others, func(o Party) bool { return o.ID == r.ID || o.UID != "" && o.UID == r.uid })
	if err := r.findPath(ctx); err != nil {
		return err
	}
	return r.declare(ctx)
}

// others are the cluster that is joined, and its members, as far as they can be looked at.
func (r *Request) others(ctx context.Context) []Party {
	home := r.Set.Home()
	own := Party{ID: home.ID, Origin: home.Origin, Server: home.Config.Host, Self: r.Set.Controller != nil && r.Set.Controller.Self != ""}
	uid, _ := home.UID(ctx)
	own.UID = uid
	own.Pods, _ = PodCIDRs(ctx, home)
	own.Services = serviceCIDRs(ctx, home)
	r.itself = own.is(Party{UID: r.uid, Server: r.From.Config.Host})
	switch {
	case r.itself && r.Set.Controller != nil && !own.Self: // a hub may join as a member; the Secrets tell whether it is one
		own = Party{Origin: home.Origin}
	case !home.Consumer && !home.Provider:
		own.UID, own.Server, own.Services = "", "", nil // a hub that is no member
	}
	out := make([]Party, len(r.Set.Secrets))
	var wg sync.WaitGroup
	for i := range r.Set.Secrets {
		s := &r.Set.Secrets[i]
		out[i] = Party{ID: s.Labels[registration.LabelMember], Origin: "Secret " + s.Namespace + "/" + s.Name, Secret: s.Name}
		out[i].Pods, _ = ParseCIDRs(strings.Split(s.Annotations[AnnotationPodCIDRs], ","))
		wg.Go(func() {
			reg := registration.Registered(s)
			if reg.Err == nil && reg.Config.Host == members.InHome {
				out[i].UID = uid
			} else if c := (&members.Cluster{Err: reg.Err}); reg.Err == nil && c.Connect(reg.Config, home.Config.Timeout).Err == nil {
				out[i].UID, _ = c.UID(ctx)
				out[i].Services = serviceCIDRs(ctx, c) // which the identity may read where it imports
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

// Warnings are what does not speak against joining, but may surprise; after [Request.Do].
func (r *Request) Warnings() (out []string) {
	if local(r.path.Server) {
		out = append(out, fmt.Sprintf("%s is an address of this machine only; a controller in a pod needs --server with one that it reaches", r.path.Server))
	}
	if local(r.path.ProxyURL) {
		out = append(out, fmt.Sprintf("proxy-url %s is an address of this machine only; a controller in a pod needs --from-kubeconfig with one that it reaches, or none", redacted(r.path.ProxyURL)))
	}
	if proxy, _ := proxyFor(http.ProxyFromEnvironment, r.path.Server); proxy != nil && r.path.ProxyURL == "" {
		out = append(out, fmt.Sprintf("this machine reaches %s by the proxy of its environment, %s, which is not registered; proxy-url in the kubeconfig is", r.path.Server, proxy.Redacted()))
	}
	if r.path.InsecureSkipTLSVerify {
		out = append(out, fmt.Sprintf("nobody verifies the certificate of %s (insecure-skip-tls-verify): who can put a server in its place can read the token", r.path.Server))
	}
	if len(r.PodCIDRs) == 0 {
		out = append(out, fmt.Sprintf("the pod ranges of %s are not known, so whether they overlap was not checked; --pod-cidrs tells them", r.ID))
	}
	if len(r.services) == 0 {
		out = append(out, fmt.Sprintf("the Service ranges of %s are not known (it has no ServiceCIDRs, which Kubernetes has since 1.33), so whether they overlap with pods was not checked", r.ID))
	}
	if r.misfit != "" {
		out = append(out, r.ID+": "+r.misfit)
	}
	if r.itself && r.Set.Controller == nil {
		out = append(out, fmt.Sprintf("%s registers itself, which is right for a hub, whose controller serves all members; a controller with --self=%s has its own cluster already", r.ID, r.ID))
	}
	if r.undeclared != "" {
		out = append(out, fmt.Sprintf("endpoints of %s can have any address: %s; --endpoint-cidrs declares the ranges that they must be in", r.ID, r.undeclared))
	}
	return out
}
