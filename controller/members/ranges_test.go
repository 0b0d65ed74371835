package members

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/mirror"
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
	ranges := func() string {
		list := slices.Clone(m.ServiceRanges())
		slices.SortFunc(list, netip.Prefix.Compare)
		return fmt.Sprint(list)
	}
	if got := ranges(); got != "[10.96.0.1/32 fd00::1/128]" {
		t.Errorf("held are %s", got)
	}
	m.reg.Limits.ServiceCIDRs = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}
	if got := ranges(); got != "[10.96.0.0/16]" {
		t.Errorf("with configured ranges: %s", got)
	}
	c.ranges.Store(&serviceRanges{prefixes: []netip.Prefix{netip.MustParsePrefix("10.97.0.0/16")}})
	if got := ranges(); got != "[10.97.0.0/16]" {
		t.Errorf("with a cluster that tells: %s", got)
	}
}
