package join

import (
	"net/netip"
	"testing"
)

// TestOutside_X2: ranges that are declared for endpoints are held against the ranges of nodes and the addresses of pods.
func TestOutside_X2(t *testing.T) {
	node := func(name, pods string) ranged { return ranged{name, netip.MustParsePrefix(pods)} }
	pod := func(name, ip string) addressed { return addressed{name, netip.MustParseAddr(ip)} }
	two := present{
		nodes: []ranged{node("n1", "10.1.0.0/24"), node("n2", "10.1.1.0/24")},
		pods:  []addressed{pod("shop/web-1", "10.1.0.5"), pod("shop/web-2", "10.1.1.5")},
	}
	overlay := present{nodes: []ranged{node("n1", "10.1.0.0/24")}, pods: []addressed{pod("shop/web", "192.168.0.5"), pod("shop/api", "192.168.9.5")}}
	for _, c := range []struct {
		name   string
		p      present
		ranges []string
		found  string
		some   bool
	}{
		{"all inside", two, []string{"10.1.0.0/16"}, "", true},
		{"nothing is there yet", present{}, []string{"10.1.0.0/16"}, "", false},
		{"nothing inside", two, []string{"10.9.0.0/16"}, "node n1 has 10.1.0.0/24 for its pods (and 1 more), pod shop/web-1 has 10.1.0.5 (and 1 more)", false},
		{"one node's range", two, []string{"10.1.0.0/24"}, "node n2 has 10.1.1.0/24 for its pods, pod shop/web-2 has 10.1.1.5", true},
		{"a part of a node's range", present{nodes: two.nodes[:1]}, []string{"10.1.0.0/25"}, "node n1 has 10.1.0.0/24 for its pods", true},
		{"nodes without pods", present{nodes: two.nodes}, []string{"10.9.0.0/16"}, "node n1 has 10.1.0.0/24 for its pods (and 1 more)", false},
		{"nodes' ranges that pods don't use", overlay, []string{"192.168.0.0/16"}, "", true},
		{"nodes' ranges, while pods have others", overlay, []string{"10.1.0.0/16"}, "pod shop/web has 192.168.0.5 (and 1 more)", false},
		{"the other family", present{pods: []addressed{pod("shop/web", "10.1.0.5"), pod("shop/web", "fd00::5")}}, []string{"10.1.0.0/16"}, "pod shop/web has fd00::5", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found, some := c.p.outside(ranges(c.ranges...)); found != c.found || some != c.some {
				t.Errorf("%q %v, want %q %v", found, some, c.found, c.some)
			}
		})
	}
}

// TestNonePresent_X2: ranges are refused only if they hold nothing that an export could have: no pod, no node, no endpoint of an exported
// Service.
func TestNonePresent_X2(t *testing.T) {
	pods := []addressed{{"shop/web", netip.MustParseAddr("10.1.0.5")}}
	vm := []netip.Addr{netip.MustParseAddr("172.16.0.4")}
	for _, c := range []struct {
		name   string
		p      present
		ranges string
		none   bool
	}{
		{"the pods", present{pods: pods, other: vm}, "10.1.0.0/16", false},
		{"a node or a virtual machine", present{pods: pods, other: vm}, "172.16.0.0/24", false},
		{"neither", present{pods: pods, other: vm}, "10.9.0.0/16", true},
		{"nothing is there yet", present{}, "10.9.0.0/16", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if none := c.p.none(ranges(c.ranges)); none != c.none {
				t.Errorf("%v, want %v", none, c.none)
			}
		})
	}
}
