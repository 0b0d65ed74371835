package join

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// This file finds the ranges that a registration declares for the endpoints of its cluster (SPEC X2). A range that is too
// narrow would refuse endpoints that are meant, so nothing is declared unless the cluster's own network configuration says it
// and no endpoint that is there now lies elsewhere.

// AnyEndpoints is the value of --endpoint-cidrs that declares no ranges.
const AnyEndpoints = "any"

// networkRanges are the ranges of a cluster's pods, and who says so.
type networkRanges struct {
	ranges []netip.Prefix
	from   string
	// assigns says that who says so also gives pods their addresses, so that nodes' ranges say nothing. Even so an endpoint must
	// lie in the ranges: configuration stays behind when a network is replaced, or leaves addresses to another plugin. given says
	// that a person said so, who needs no witness.
	assigns, given bool
}

// endpointSeen is an endpoint of the cluster.
type endpointSeen struct {
	service string // namespace/name
	address netip.Addr
}

// The widest ranges that are declared on the word of a cluster's configuration. 10.0.0.0/8 is the largest block of private-use
// addresses (RFC 1918), and what is wider holds public ones; for IPv6 a registry gives a whole provider a /32, and a site with
// unique-local addresses has a /48 (RFC 4193).
const (
	widestIPv4 = 8
	widestIPv6 = 32
)

// implausible says why ranges are not those of the pods of one cluster, given the others of the clusterset; "" if they may be. What
// a cluster's configuration says is its own word: declared, too wide a range would allow it every address (SPEC X2).
func (n networkRanges) implausible(others []Party) string {
	if n.given {
		return ""
	}
	room := map[int]float64{} // what is left of it, by the widest range of a family
	for _, p := range n.ranges {
		widest := widestIPv6
		if p.Addr().Is4() {
			widest = widestIPv4
		}
		if _, known := room[widest]; !known {
			room[widest] = 1
		}
		if room[widest] -= math.Exp2(float64(widest - p.Bits())); room[widest] < 0 {
			return fmt.Sprintf("%s says %s, which is wider than the pods of one cluster need (a /%d)", n.from, joined(n.ranges), widest)
		}
	}
	for _, o := range others {
		a, b, found := overlap(n.ranges, slices.Concat(o.Pods, o.Services))
		if found && !o.Ignored {
			return fmt.Sprintf("%s says %s, which holds addresses of %s, %s", n.from, a, cmp.Or(o.ID, o.Origin), b)
		}
	}
	return ""
}

// undeclarable says why ranges can't be declared for a cluster whose nodes have, and whose Services have, what is given; ""
// if they can.
func (n networkRanges) undeclarable(nodes []netip.Prefix, seen []endpointSeen) string {
	inside := func(a netip.Addr) bool {
		return slices.ContainsFunc(n.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !n.assigns && !n.given {
		for _, p := range nodes {
			if !slices.ContainsFunc(n.ranges, func(r netip.Prefix) bool { return r.Bits() <= p.Bits() && r.Contains(p.Addr()) }) {
				return fmt.Sprintf("%s says %s, but a node has %s", n.from, joined(n.ranges), p)
			}
		}
	}
	witness := n.given
	for _, e := range seen {
		namespace, _, _ := strings.Cut(e.service, "/")
		switch {
		case inside(e.address):
			witness = true
		case e.service == apiServer, strings.HasPrefix(namespace, "kube-") && e.service != clusterDNS: // on the network of a node, and not exported
		default:
			return fmt.Sprintf("%s says %s, but Service %s has endpoint %s", n.from, joined(n.ranges), e.service, e.address)
		}
	}
	if !witness {
		return fmt.Sprintf("%s says %s, but no endpoint there shows that pods are in it", n.from, joined(n.ranges))
	}
	return ""
}

// apiServer is the Service of the API server itself; clusterDNS that of the DNS, whose pods every cluster has.
const (
	apiServer  = metav1.NamespaceDefault + "/kubernetes"
	clusterDNS = metav1.NamespaceSystem + "/kube-dns"
)

// declare finds the limits of the registration: what the flags say, then what it has, and for endpoints what the cluster's
// network says. What can't be found is left out, and r.undeclared says why.
func (r *Request) declare(ctx context.Context) error {
	limits := map[string]string{}
	for i := range r.Set.Secrets {
		s := &r.Set.Secrets[i]
		for _, name := range registration.LimitNames {
			if list, ok := s.Annotations[mcsapi.Domain+"/"+name]; ok && s.Labels[registration.LabelMember] == r.ID {
				limits[name] = list
			}
		}
	}
	for name, list := range r.Limits {
		if list != "" {
			limits[name] = list
		}
	}
	r.limits = limits
	if list, now := r.Said[flagEndpoint]; now && list == "" || limits[flagEndpoint] == AnyEndpoints {
		delete(limits, flagEndpoint)
	}
	switch list, ok := limits[flagEndpoint]; {
	case ok && r.role() != "consumer":
		return r.fits(ctx, list)
	case ok || r.said[flagEndpoint] == AnyEndpoints || r.role() == "consumer":
		return nil
	}
	found, why, err := r.findRanges(ctx)
	if err != nil {
		return err
	}
	r.undeclared = why
	if why == "" {
		limits[registration.LimitEndpointCIDRs], r.declared = joined(found.ranges), found.from
	}
	return nil
}

// findRanges returns the ranges that can be declared, or why there are none.
func (r *Request) findRanges(ctx context.Context) (found networkRanges, why string, err error) {
	nodes, err := PodCIDRs(ctx, r.From)
	if err != nil {
		return found, "", err
	}
	switch {
	case r.podCIDRsGiven:
		found = networkRanges{ranges: r.PodCIDRs, from: "--pod-cidrs", given: true}
	default:
		found = network(ctx, r.From)
	}
	switch {
	case len(found.ranges) == 0 && len(nodes) > 0:
		return found, fmt.Sprintf("the nodes have %s now, but nodes that come later have other ranges", joined(nodes)), nil
	case len(found.ranges) == 0:
		return found, "nothing in the cluster tells the ranges of its pods", nil
	}
	if why := found.implausible(r.parties); why != "" {
		return found, why, nil
	}
	seen, err := endpointsOf(ctx, r.From)
	if err != nil {
		return found, fmt.Sprintf("%s says %s, but its endpoints can't be read to check that: %s", found.from, joined(found.ranges), err), nil
	}
	return found, found.undeclarable(nodes, seen), nil
}

// endpointsOf lists the cluster's own endpoints.
func endpointsOf(ctx context.Context, c *members.Cluster) (seen []endpointSeen, err error) {
	opts := metav1.ListOptions{LabelSelector: "!" + mcsapi.LabelSourceCluster}
	return kubeclient.All(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) (seen []endpointSeen, meta metav1.ListMeta, err error) {
		list, err := c.Kube.DiscoveryV1().EndpointSlices(metav1.NamespaceAll).List(ctx, opts)
		if err != nil {
			return nil, meta, err
		}
		for i := range list.Items {
			seen = append(seen, endpointsIn(&list.Items[i])...)
		}
		return seen, list.ListMeta, nil
	})
}

func endpointsIn(s *discoveryv1.EndpointSlice) (seen []endpointSeen) {
	service := s.Namespace + "/" + cmp.Or(s.Labels[discoveryv1.LabelServiceName], s.Name)
	for _, e := range s.Endpoints {
		for _, text := range e.Addresses {
			if a, err := netip.ParseAddr(text); err == nil { // names of hosts are none
				seen = append(seen, endpointSeen{service, a})
			}
		}
	}
	return seen
}

// annotate puts the limits, and what flags said, onto the Secret that registers the cluster.
func (r *Request) annotate(s *corev1.Secret) {
	for name, list := range r.limits {
		s.Annotations[mcsapi.Domain+"/"+name] = list
	}
	if len(r.said) > 0 {
		text, _ := json.Marshal(r.said) // a map of strings
		s.Annotations[AnnotationSaid] = string(text)
	}
}

// CheckLimit says what is wrong with a limit that a flag gives.
func CheckLimit(name, list string) error {
	if list == "" || name == registration.LimitEndpointCIDRs && list == AnyEndpoints {
		return nil
	}
	if err := (&registration.Limits{}).Set(name, list); err != nil {
		return errors.New("--" + err.Error())
	}
	return nil
}
