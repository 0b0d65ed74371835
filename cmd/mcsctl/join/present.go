package join

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file holds declared ranges of endpoints against what the cluster has: a controller refuses each endpoint outside of them
// (SPEC X2), so ranges that are not those of the pods make every export of the cluster empty.

// ranged is a node with one of the ranges that its pods get addresses from.
type ranged struct {
	node string
	pods netip.Prefix
}

// addressed is a pod, as namespace/name, with one of its addresses.
type addressed struct {
	pod string
	ip  netip.Addr
}

// present is where the pods of a cluster are, and where else its endpoints may be: on nodes, or at the addresses of the slices of
// exported Services, such as virtual machines have.
type present struct {
	nodes []ranged
	pods  []addressed
	other []netip.Addr
}

// none says that ranges hold nothing that the cluster has, so that the controller would refuse all of its endpoints.
func (p present) none(ranges []netip.Prefix) bool {
	found, some := p.outside(ranges)
	return found != "" && !some && !slices.ContainsFunc(p.other, func(ip netip.Addr) bool { return within(ranges, ip) })
}

// outside says what lies outside of ranges, naming the first node and the first pod, and whether anything lies inside. The ranges of
// nodes mean nothing where pods get their addresses in another way: where there are pods, and none has an address of a node's range.
func (p present) outside(ranges []netip.Prefix) (found string, some bool) {
	var list []string
	if nodes := p.rangesInUse(); len(nodes) > 0 {
		out := slices.DeleteFunc(slices.Clone(nodes), func(n ranged) bool {
			return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Bits() <= n.pods.Bits() && r.Contains(n.pods.Addr()) })
		})
		some = some || slices.ContainsFunc(nodes, func(n ranged) bool { _, _, both := overlap(ranges, []netip.Prefix{n.pods}); return both })
		if len(out) > 0 {
			list = append(list, fmt.Sprintf("node %s has %s for its pods%s", out[0].node, out[0].pods, more(len(out)-1)))
		}
	}
	out := slices.DeleteFunc(slices.Clone(p.pods), func(a addressed) bool { return within(ranges, a.ip) })
	if len(out) > 0 {
		list = append(list, fmt.Sprintf("pod %s has %s%s", out[0].pod, out[0].ip, more(len(out)-1)))
	}
	return strings.Join(list, ", "), some || len(out) < len(p.pods)
}

func (p present) rangesInUse() []ranged {
	used := len(p.pods) == 0 || slices.ContainsFunc(p.pods, func(a addressed) bool {
		return slices.ContainsFunc(p.nodes, func(n ranged) bool { return n.pods.Contains(a.ip) })
	})
	if !used {
		return nil
	}
	return p.nodes
}

func within(ranges []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// findPresent reads the nodes and the pods of a cluster, but for pods on the network of their node, which have its address, and the
// endpoints of what it exports.
func findPresent(ctx context.Context, c *members.Cluster) (p present, err error) {
	p.nodes, err = kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (found []ranged, meta metav1.ListMeta, err error) {
		list, err := c.Kube.CoreV1().Nodes().List(ctx, opts)
		if err != nil {
			return nil, meta, err
		}
		for i := range list.Items {
			for _, a := range list.Items[i].Status.Addresses {
				if ip, err := netip.ParseAddr(a.Address); err == nil { // names are none
					p.other = append(p.other, ip)
				}
			}
			ranges, _ := ParseCIDRs(list.Items[i].Spec.PodCIDRs)
			for _, r := range ranges {
				found = append(found, ranged{list.Items[i].Name, r})
			}
		}
		return found, list.ListMeta, nil
	})
	if err != nil {
		return p, fmt.Errorf("listing the nodes of %s: %s", c.Origin, members.Brief(err))
	}
	p.pods, err = kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (found []addressed, meta metav1.ListMeta, err error) {
		list, err := c.Kube.CoreV1().Pods(metav1.NamespaceAll).List(ctx, opts)
		if err != nil {
			return nil, meta, err
		}
		pods := mcsapi.OnlyWellformed(list.Items, true)
		for i := range pods {
			found = append(found, addressesOf(&pods[i])...)
		}
		return found, list.ListMeta, nil
	})
	if err != nil {
		return p, fmt.Errorf("listing the pods of %s: %s", c.Origin, members.Brief(err))
	}
	exported, err := exportedAddresses(ctx, c)
	p.other = append(p.other, exported...)
	return p, err
}

// exportedAddresses are those of the endpoints of exported Services.
func exportedAddresses(ctx context.Context, c *members.Cluster) (found []netip.Addr, err error) {
	exports, _, err := c.Exports(ctx, metav1.NamespaceAll, metav1.ListOptions{})
	if errors.Is(err, mcsapi.ErrNotServed) || err == nil && len(exports) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the ServiceExports of %s: %s", c.Origin, members.Brief(err))
	}
	services := map[string]bool{}
	for i := range exports {
		services[exports[i].Namespace+"/"+exports[i].Name] = true
	}
	seen, err := endpointsOf(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of %s: %s", c.Origin, members.Brief(err))
	}
	for _, e := range seen {
		if services[e.service] {
			found = append(found, e.address)
		}
	}
	return found, nil
}

func addressesOf(pod *corev1.Pod) (found []addressed) {
	if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	name := pod.Namespace + "/" + pod.Name
	for _, text := range pod.Status.PodIPs {
		if ip, err := netip.ParseAddr(text.IP); err == nil && ip.Zone() == "" {
			found = append(found, addressed{name, ip})
		}
	}
	return found
}

// fits holds the ranges that are declared for endpoints against what the cluster has. It returns an error where a flag gives ranges now
// in which nothing of it lies, and notes what lies outside of them otherwise.
func (r *Request) fits(ctx context.Context, list string) error {
	ranges, _ := ParseCIDRs(strings.Split(list, ","))
	p, err := findPresent(ctx, r.From)
	if err != nil {
		r.misfit = "whether " + list + " has the addresses of its pods was not checked: " + err.Error()
		return nil
	}
	found, _ := p.outside(ranges)
	switch {
	case found == "":
	case p.none(ranges) && r.Said[flagEndpoint] == list:
		return fmt.Errorf("--%s %s has no address of the pods, the nodes or the exported Services of %s: %s; the controller would refuse all of its endpoints; want the ranges of its pods, or %s",
			flagEndpoint, list, r.ID, found, AnyEndpoints)
	default:
		r.misfit = fmt.Sprintf("%s %s does not have all addresses of its pods: %s; the controller refuses endpoints there; --%s declares other ranges, or %s", flagEndpoint, list, found, flagEndpoint, AnyEndpoints)
	}
	return nil
}
