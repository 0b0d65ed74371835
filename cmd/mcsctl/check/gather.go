// Package check looks over a whole clusterset: whether it is set up so that it can work, and whether it does.
//
// gather.go reads and asks; judge.go compares, and knows no client. One name that does not resolve is package explain's.
package check

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/join"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Facts are what is known of a clusterset.
type Facts struct {
	Zone, Namespace string
	Controller      finding.Controller
	Registering     shell.Text // makes mcsctl join and leave act on the home
	SecretsErr      error
	Clusters        []Cluster
	Now             time.Time
}

// Cluster is what is known of one.
type Cluster struct {
	ID                 string
	Flags              shell.Text
	Provider, Consumer bool
	// Registered says that the credentials are those of a registration, so that what they may do matters.
	Registered bool
	Down       string
	Version    string
	// Skew is how far the server's clock is ahead of this machine's; SkewKnown that it is known.
	Skew      time.Duration
	SkewKnown bool
	// Exports and Imports are the served API versions, "" for none.
	Exports, Imports string
	// Denied are the rights that a registration lacks, as "list services".
	Denied []string
	// NoStatus says that it may not write the status of exports.
	NoStatus bool
	Pods     []netip.Prefix
	Servers  []nameserver.Server
	// ServersErr says why they could not be looked at.
	ServersErr string
	// DNSDenied are the rights that the ServiceAccount of the stock CoreDNS lacks.
	DNSDenied []string
	// Readers are the gateways and meshes that use imported services.
	Readers Readers
}

// Gather asks all clusters at once.
func Gather(ctx context.Context, set *members.Set, zone string) Facts {
	f := Facts{Zone: zone, Namespace: set.Namespace, SecretsErr: set.SecretsErr, Registering: set.Registering(), Clusters: make([]Cluster, len(set.Clusters))}
	var wg sync.WaitGroup
	var leases []members.Leases
	wg.Go(func() { leases = set.Leases(ctx) })
	for i, c := range set.Clusters {
		wg.Go(func() { f.Clusters[i] = gather(ctx, set, c, zone) })
	}
	wg.Wait()
	f.Now = time.Now()
	f.Controller = finding.ControllerOf(set, leases, f.Now)
	if f.Controller.Deployed == nil && f.Controller.Registered == 0 { // otherwise one is needed anyway
		imports(ctx, set, f.Controller.Imports)
	}
	return f
}

// imports counts the ServiceImports that can be read.
func imports(ctx context.Context, set *members.Set, counts map[string]int) {
	for _, c := range set.Clusters {
		if c.Err == nil && c.Consumer {
			list, _, _ := c.Imports(ctx, "", metav1.ListOptions{})
			counts[c.ID] = len(list)
		}
	}
}

func gather(ctx context.Context, set *members.Set, m *members.Cluster, zone string) Cluster {
	c := Cluster{ID: m.ID, Flags: m.Flags(), Provider: m.Provider, Consumer: m.Consumer, Registered: m.Registered}
	for i := range set.Secrets {
		if set.Secrets[i].Labels[registration.LabelMember] == m.ID {
			c.Pods, _ = join.ParseCIDRs(strings.Split(set.Secrets[i].Annotations[join.AnnotationPodCIDRs], ","))
		}
	}
	if m.Err != nil {
		c.Down = m.Err.Error()
		return c
	}
	var err error
	if c.Version, err = m.Version(ctx); err != nil {
		c.Down = members.Brief(err)
		return c
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.Skew, c.SkewKnown = skew(ctx, m) })
	wg.Go(func() {
		if served, err := mcsapi.ServedVersions(ctx, m.Kube.Discovery(), m.Config.Timeout, "serviceexports", "serviceimports"); err == nil {
			c.Exports, c.Imports = served["serviceexports"], served["serviceimports"]
		}
	})
	if len(c.Pods) == 0 {
		wg.Go(func() { c.Pods, _ = join.PodCIDRs(ctx, m) })
	}
	if c.Registered {
		wg.Go(func() { c.Denied, c.NoStatus = rights(ctx, m) })
	}
	if c.Consumer {
		wg.Go(func() {
			servers, err := nameserver.Servers(ctx, m.Kube, set.Namespace, zone)
			switch {
			case apierrors.IsForbidden(err):
				c.ServersErr = "these credentials may not"
			case err != nil:
				c.ServersErr = members.Brief(err)
			}
			c.Servers = servers
		})
		wg.Go(func() { c.DNSDenied = dnsRights(ctx, m) })
		wg.Go(func() { c.Readers = gatherReaders(ctx, m) })
	}
	wg.Wait()
	return c
}

// skew compares the Date of an answer with the middle of the time in which it was given.
func skew(ctx context.Context, m *members.Cluster) (time.Duration, bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Client.Server().JoinPath("version").String(), nil)
	if err != nil {
		return 0, false
	}
	start := time.Now()
	response, err := m.Client.HTTP.Do(request)
	if err != nil {
		return 0, false
	}
	_ = response.Body.Close()
	middle := start.Add(time.Since(start) / 2)
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return date.Add(500 * time.Millisecond).Sub(middle), true // a Date is cut to seconds
}

// access is one right.
type access struct{ verb, group, resource, sub string }

func (a access) String() string {
	if a.sub != "" {
		return a.verb + " " + a.resource + "/" + a.sub
	}
	return a.verb + " " + a.resource
}

// rights returns what a registration's credentials lack of what its role needs.
func rights(ctx context.Context, m *members.Cluster) (denied []string, noStatus bool) {
	var needs []access
	if m.Provider {
		needs = append(needs, access{"list", mcsapi.Group, "serviceexports", ""}, access{"watch", mcsapi.Group, "serviceexports", ""},
			access{"list", "", "services", ""}, access{"list", "discovery.k8s.io", "endpointslices", ""})
		noStatus = !may(ctx, m, access{"patch", mcsapi.Group, "serviceexports", "status"})
	}
	if m.Consumer {
		needs = append(needs, access{"create", mcsapi.Group, "serviceimports", ""}, access{"patch", mcsapi.Group, "serviceimports", "status"},
			access{"create", "", "services", ""}, access{"create", "discovery.k8s.io", "endpointslices", ""}, access{"list", "", "namespaces", ""}, access{"list", "", "nodes", ""})
	}
	for _, need := range needs {
		if !may(ctx, m, need) {
			denied = append(denied, need.String())
		}
	}
	return denied, noStatus
}

func (a access) attributes() *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{Verb: a.verb, Group: a.group, Resource: a.resource, Subresource: a.sub}
}

// may asks whether the credentials have a right; what can't be asked counts as a yes.
func may(ctx context.Context, m *members.Cluster, a access) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: a.attributes()}}
	got, err := m.Kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	return err != nil || got.Status.Allowed
}

// dnsRights returns what the ServiceAccount of the stock CoreDNS lacks; nothing where that may not be asked.
func dnsRights(ctx context.Context, m *members.Cluster) (denied []string) {
	for _, a := range []access{{"list", mcsapi.Group, "serviceimports", ""}, {"watch", mcsapi.Group, "serviceimports", ""}, {"list", "discovery.k8s.io", "endpointslices", ""}} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:kube-system:coredns", ResourceAttributes: a.attributes(),
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
		}}
		got, err := m.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err == nil && !got.Status.Allowed {
			denied = append(denied, a.String())
		}
	}
	return denied
}
