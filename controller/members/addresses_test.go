package members

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/ranges"
)

// SPEC X2: where neither the cluster nor its registration tells the ranges of Services, the addresses that Services hold are
// those where no endpoint can be.
func TestHeldAddresses_X2(t *testing.T) {
	s := mirror.NewStore[*corev1.Service](nil, nil)
	for name, ips := range map[string][]string{"dual": {"10.96.0.1", "fd00::1"}, "headless": {"None"}, "external": nil} {
		s.Put(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Spec: corev1.ServiceSpec{ClusterIPs: ips}})
	}
	m := &Member{}
	c := &connection{services: mirror.NewFeed(mirror.Kind[*corev1.Service]{}, s, nil)}
	c.ranges.Store(&serviceRanges{})
	m.conn.Store(c)
	held := func() string { return m.ServiceRanges().String() }
	if got := held(); got != "10.96.0.1, fd00::1" {
		t.Errorf("held are %s", got)
	}
	m.reg.Limits.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}
	if got := held(); got != "10.96.0.0-10.96.255.255" {
		t.Errorf("with configured ranges: %s", got)
	}
	c.ranges.Store(&serviceRanges{addresses: ranges.Of(netip.MustParsePrefix("10.97.0.0/16"))})
	if got := held(); got != "10.97.0.0-10.97.255.255" {
		t.Errorf("with a cluster that tells: %s", got)
	}
}

// TestServiceCIDRs_X6: the ranges of ServiceCIDR objects are counted, however few objects have them.
func TestServiceCIDRs_X6(t *testing.T) {
	object := func(cidrs ...string) networkingv1.ServiceCIDR {
		return networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs}}
	}
	many := func(n int) []string { return slices.Repeat([]string{"10.96.0.0/16"}, n) }
	for name, tc := range map[string]struct {
		list []networkingv1.ServiceCIDR
		want string // ranges, or a part of the error
	}{
		"dual-stack":           {[]networkingv1.ServiceCIDR{object("10.96.0.0/16", "fd00::/112")}, "10.96.0.0-10.96.255.255, fd00::-fd00::ffff"},
		"extended":             {[]networkingv1.ServiceCIDR{object("10.96.0.0/16"), object("10.97.0.0/16")}, "10.96.0.0-10.97.255.255"},
		"64 of two ranges":     {slices.Repeat([]networkingv1.ServiceCIDR{object(many(2)...)}, 64), "10.96.0.0-10.96.255.255"},
		"65 of two ranges":     {slices.Repeat([]networkingv1.ServiceCIDR{object(many(2)...)}, 65), "130 ranges in 65 ServiceCIDRs"},
		"one of 100000 ranges": {[]networkingv1.ServiceCIDR{object(many(100_000)...)}, "100000 ranges in 1 ServiceCIDRs"},
		"nonsense":             {[]networkingv1.ServiceCIDR{object("10.96.0.0")}, "no '/'"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := rangesOf(tc.list)
			got := fmt.Sprint(err)
			if err == nil {
				got = found.addresses.String()
			}
			if !strings.Contains(got, tc.want) || err == nil && got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
