package members

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/ranges"
)

// This file is what of an importing cluster no endpoint of another one can have: the addresses of its Services and its nodes (SPEC X2).

// rangesLife is how long what is known of a cluster's Service addresses is used before it is looked at again: ranges are
// added once in a cluster's life, if ever.
const rangesLife = 5 * time.Minute

// serviceRanges is what a cluster gives Service addresses from.
type serviceRanges struct {
	// families are the IP families, the primary one first.
	families []corev1.IPFamily
	// addresses are those of the ranges; none where the cluster does not tell (no ServiceCIDR objects).
	addresses ranges.Set
	at        time.Time
}

// refreshRanges learns the Service addresses of the cluster, where that is due.
func (c *connection) refreshRanges(ctx context.Context) {
	old := c.ranges.Load()
	if old != nil && time.Since(old.at) < rangesLife {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.member.opts.patience())
	defer cancel()
	found, err := c.findRanges(ctx)
	if err != nil {
		c.rangesErr = fmt.Errorf("finding out the IP families of Services: %w", err)
		return
	}
	c.rangesErr = nil
	found.at = time.Now()
	c.ranges.Store(found)
	if old != nil && c.live && !(slices.Equal(old.families, found.families) && old.addresses.Equal(found.addresses)) {
		c.member.handler.ConsumerChanged(c.member)
	}
}

// findRanges asks for ServiceCIDR objects (KEP-1880). Where the server has none, older than 1.33, it asks for a dual-stack
// Service without making one: the server's answer has the families that it would give.
func (c *connection) findRanges(ctx context.Context) (*serviceRanges, error) {
	list, err := c.kube.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || err == nil && len(list.Items) == 0 {
		return c.tryService(ctx)
	}
	if err != nil {
		return nil, err
	}
	// The default one holds the ranges of the API server's flags, the primary family first.
	slices.SortStableFunc(list.Items, func(a, b networkingv1.ServiceCIDR) int {
		return defaultFirst(a.Name) - defaultFirst(b.Name)
	})
	return rangesOf(list.Items)
}

// rangesOf returns what ServiceCIDRs say, unless they have too many ranges.
func rangesOf(list []networkingv1.ServiceCIDR) (*serviceRanges, error) {
	found := &serviceRanges{}
	var prefixes []netip.Prefix
	n := 0
	for i := range list {
		n += len(list[i].Spec.CIDRs)
	}
	if n > maxServiceCIDRs {
		return nil, fmt.Errorf("%d ranges in %d ServiceCIDRs; want at most %d ranges", n, len(list), maxServiceCIDRs)
	}
	for _, item := range list {
		for _, cidr := range item.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(cidr)
			if err != nil {
				return nil, fmt.Errorf("ServiceCIDR %s: %w", item.Name, err)
			}
			prefixes = append(prefixes, prefix)
			if f := familyOf(prefix.Addr()); !slices.Contains(found.families, f) {
				found.families = append(found.families, f)
			}
		}
	}
	found.addresses = ranges.Of(prefixes...)
	return found, nil
}

// maxServiceCIDRs bounds the ranges that are kept of a cluster's ServiceCIDRs, each of which has at most two. A cluster has one or
// two ServiceCIDRs, and some more after it was extended.
const maxServiceCIDRs = 128

// defaultFirst sorts the ServiceCIDR that the API server makes before all others.
func defaultFirst(name string) int {
	if name == "kubernetes" {
		return 0
	}
	return 1
}

func (c *connection) tryService(ctx context.Context) (*serviceRanges, error) {
	policy := corev1.IPFamilyPolicyPreferDualStack
	try := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "mcs-controller-families-", Namespace: metav1.NamespaceDefault},
		Spec: corev1.ServiceSpec{
			IPFamilyPolicy: &policy,
			Ports:          []corev1.ServicePort{{Port: 80}},
		},
	}
	got, err := c.kube.CoreV1().Services(try.Namespace).Create(ctx, try, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, err
	}
	var families []corev1.IPFamily
	for _, f := range got.Spec.IPFamilies {
		if (f == corev1.IPv4Protocol || f == corev1.IPv6Protocol) && !slices.Contains(families, f) {
			families = append(families, f)
		}
	}
	return &serviceRanges{families: families}, nil
}

func familyOf(addr netip.Addr) corev1.IPFamily {
	if addr.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// heldLife is how long the addresses that Services were seen to hold are used before they are collected again.
const heldLife = 5 * time.Second

// heldAddresses are the addresses of a cluster's Services, for a cluster whose ranges nobody tells: older than 1.33, in
// practice. The zero value is ready for use.
type heldAddresses struct {
	mu  sync.Mutex
	set ranges.Set
	at  time.Time
}

// of returns the addresses that the Services of a store hold, as of [heldLife] ago at most.
func (h *heldAddresses) of(services *mirror.Store[*corev1.Service]) ranges.Set {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < heldLife {
		return h.set
	}
	var list []netip.Prefix
	services.Each(func(_ types.NamespacedName, s *corev1.Service) {
		for _, ip := range s.Spec.ClusterIPs {
			if addr, err := netip.ParseAddr(ip); err == nil { // not "None"
				list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
	})
	h.set, h.at = ranges.Of(list...), time.Now()
	return h.set
}

// declaredRanges are those of a member's registration. The zero value is ready for use.
type declaredRanges struct {
	mu   sync.Mutex
	list []netip.Prefix
	set  ranges.Set
}

// of returns the addresses of the ranges that a registration has; the set is made when they change.
func (d *declaredRanges) of(list []netip.Prefix) ranges.Set {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.list, list) {
		d.list, d.set = list, ranges.Of(list...)
	}
	return d.set
}

// nodesKnown says whether the addresses of the nodes are known, or won't be: a cluster that does not permit the question is
// served all the same, as one of a release that did not ask.
func (c *connection) nodesKnown() bool {
	state := c.nodes.State()
	return state.Synced || apierrors.IsForbidden(state.Err)
}

// nodeChanged lets all imports of the cluster be looked at again when the addresses of a node are others.
func (c *connection) nodeChanged(before, after *corev1.Node) {
	if before != nil && after != nil && slices.Equal(before.Status.Addresses, after.Status.Addresses) {
		return
	}
	c.nodeAddresses.changed(func() {
		if c.ctx.Err() == nil {
			c.member.handler.ConsumerChanged(c.member)
		}
	})
}

// nodeAddresses are the addresses of a cluster's nodes. They are collected anew at most once in [heldLife], however often nodes change
// (SPEC X6). The zero value is ready for use.
type nodeAddresses struct {
	mu  sync.Mutex
	set map[netip.Addr]bool // nil where it has to be made; never changed
	at  time.Time           // when it was made
	due bool                // a change waits for the end of its life
}

// changed calls then when [nodeAddresses.of] has the change: at once, or at the end of the life of what was collected.
func (n *nodeAddresses) changed(then func()) {
	n.mu.Lock()
	if n.due {
		n.mu.Unlock()
		return
	}
	if left := heldLife - time.Since(n.at); n.set != nil && left > 0 {
		n.due = true
		n.mu.Unlock()
		time.AfterFunc(left, func() {
			n.forget()
			then()
		})
		return
	}
	n.mu.Unlock()
	n.forget()
	then()
}

func (n *nodeAddresses) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set, n.due = nil, false
}

// of returns the addresses of the nodes in a store. The map must not be changed.
func (n *nodeAddresses) of(nodes *mirror.Store[*corev1.Node]) map[netip.Addr]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil {
		n.set = map[netip.Addr]bool{}
		nodes.Each(func(_ types.NamespacedName, node *corev1.Node) {
			for _, a := range node.Status.Addresses {
				if addr, err := netip.ParseAddr(a.Address); err == nil {
					n.set[addr] = true
				}
			}
		})
		n.at = time.Now()
	}
	return n.set
}

// NodeAddresses returns the addresses of the cluster's nodes, where it tells them. The map must not be changed.
func (m *Member) NodeAddresses() map[netip.Addr]bool {
	if c := m.conn.Load(); c != nil {
		return c.nodeAddresses.of(c.nodes.Store)
	}
	return nil
}
