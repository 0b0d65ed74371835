package members

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// TestNodeAddresses_X6: however often nodes change, their addresses are collected at most once in a while, and who reads them is told
// when they have the last change.
func TestNodeAddresses_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n nodeAddresses
		s := mirror.NewStore[*corev1.Node](nil, nil)
		var last netip.Addr
		changes, told := 0, 0
		change := func() {
			changes++
			last = netip.AddrFrom4([4]byte{10, 0, byte(changes >> 8), byte(changes)})
			s.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
				Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: last.String()}},
			}})
			n.changed(func() {
				if told++; !n.of(s)[last] {
					t.Errorf("told of change %d, but it is not there", changes)
				}
			})
		}
		if change(); told != 1 {
			t.Errorf("told %d times of the first change", told)
		}
		collected := 0
		pause := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait() // for what a timer called
		}
		for was := n.of(s); changes < 462; pause(130 * time.Millisecond) { // a minute, and never when a life ends
			change()
			if is := n.of(s); reflect.ValueOf(is).Pointer() != reflect.ValueOf(was).Pointer() {
				was, collected = is, collected+1
			}
		}
		if most := int(time.Minute / heldLife); collected > most || collected < most-1 {
			t.Errorf("collected %d times in a minute, want %d at most", collected, most)
		}
		pause(heldLife)
		if !n.of(s)[last] {
			t.Error("the last change is not there")
		}
		pause(heldLife)
		was := told
		if change(); told != was+1 {
			t.Error("a change after a while of silence has to wait")
		}
	})
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
