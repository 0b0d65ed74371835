package clusterset

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/node"
)

// EveryPort stands for all ports of a Service.
const EveryPort int32 = 0

// AwaitRules waits until [Cluster.CheckRules] returns nil.
func (c *Cluster) AwaitRules(ctx context.Context, namespace, service string, port int32, ips []netip.Addr) error {
	return kit.Await(ctx, func(ctx context.Context) error { return c.CheckRules(ctx, namespace, service, port, ips) })
}

// CheckRules returns nil if the kernel of the cluster's node leads connections to a port of a Service, at each of its
// ClusterIPs, to exactly these endpoints, given by the addresses that they have in all families. What EndpointSlices say
// holds for connections only from kube-proxy's next sync on: a second later, or many on a busy machine. Whoever counts which
// pods answer, or expects that a pod gets no request, must wait for that first.
//
// Without packets there are no rules, and the result is nil.
func (c *Cluster) CheckRules(ctx context.Context, namespace, service string, port int32, ips []netip.Addr) error {
	if c.Node == nil {
		return nil
	}
	object, err := c.Client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if object.Spec.ClusterIP == corev1.ClusterIPNone {
		return fmt.Errorf("the Service %s/%s is headless, so that kube-proxy has no rules for it", namespace, service)
	}
	rules, err := c.Node.Rules(ctx)
	if err != nil {
		return err
	}
	return follow(object, port, rules, ips)
}

// follow returns nil if the rules lead from a port of a Service to the endpoints.
func follow(service *corev1.Service, port int32, rules node.Rules, ips []netip.Addr) error {
	fronts := 0
	for _, clusterIP := range service.Spec.ClusterIPs {
		address, err := netip.ParseAddr(clusterIP)
		if err != nil {
			return err
		}
		var want []netip.Addr
		for _, ip := range ips {
			if node.FamilyOf(ip) == node.FamilyOf(address) {
				want = append(want, ip)
			}
		}
		slices.SortFunc(want, netip.Addr.Compare)
		for _, p := range service.Spec.Ports {
			if port != EveryPort && p.Port != port {
				continue
			}
			fronts++
			front := node.Front{AddrPort: netip.AddrPortFrom(address, uint16(p.Port)), Protocol: strings.ToLower(string(p.Protocol))}
			var got []netip.Addr
			for _, endpoint := range rules[front] {
				got = append(got, endpoint.Addr())
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("kube-proxy leads %s/%s at %v %s to %v, not to %v", service.Namespace, service.Name, front, front.Protocol, got, want)
			}
		}
	}
	if fronts == 0 {
		return fmt.Errorf("the Service %s/%s has no ClusterIP, or no port %d", service.Namespace, service.Name, port)
	}
	return nil
}

// PodIPs returns all addresses of pods.
func PodIPs(pods ...*corev1.Pod) []netip.Addr {
	var ips []netip.Addr
	for _, pod := range pods {
		for _, ip := range pod.Status.PodIPs {
			if address, err := netip.ParseAddr(ip.IP); err == nil { // the API server lets nothing else through
				ips = append(ips, address)
			}
		}
	}
	return ips
}
