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
)

// rangesLife is how long what is known of a cluster's Service addresses is used before it is looked at again: ranges are
// added once in a cluster's life, if ever.
const rangesLife = 5 * time.Minute

// serviceRanges is what a cluster gives Service addresses from.
type serviceRanges struct {
	// families are the IP families, the primary one first.
	families []corev1.IPFamily
	// prefixes are the ranges; nil where the cluster does not tell (no ServiceCIDR objects).
	prefixes []netip.Prefix
	at       time.Time
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
	if old != nil && c.live && !(slices.Equal(old.families, found.families) && slices.Equal(old.prefixes, found.prefixes)) {
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
	if len(list.Items) > maxServiceCIDRs {
		return nil, fmt.Errorf("%d ServiceCIDRs, of which at most %d can be heeded", len(list.Items), maxServiceCIDRs)
	}
	found := &serviceRanges{}
	for _, item := range list.Items {
		for _, cidr := range item.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(cidr)
			if err != nil {
				return nil, fmt.Errorf("ServiceCIDR %s: %w", item.Name, err)
			}
			found.prefixes = append(found.prefixes, prefix)
			if f := familyOf(prefix.Addr()); !slices.Contains(found.families, f) {
				found.families = append(found.families, f)
			}
		}
	}
	return found, nil
}

// maxServiceCIDRs bounds what each address of another cluster is compared with. A cluster has one or two, and some after it was
// extended; each holds at most two ranges.
const maxServiceCIDRs = 64

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
	return &serviceRanges{families: got.Spec.IPFamilies}, nil
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
	mu   sync.Mutex
	list []netip.Prefix
	at   time.Time
}

// of returns the addresses that the Services of a store hold, each as a range of one, as of [heldLife] ago at most.
func (h *heldAddresses) of(services *mirror.Store[*corev1.Service]) []netip.Prefix {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < heldLife {
		return h.list
	}
	h.list, h.at = nil, time.Now() // anew: readers have the old one
	services.Each(func(_ types.NamespacedName, s *corev1.Service) {
		for _, ip := range s.Spec.ClusterIPs {
			if addr, err := netip.ParseAddr(ip); err == nil { // not "None"
				h.list = append(h.list, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
	})
	return h.list
}
