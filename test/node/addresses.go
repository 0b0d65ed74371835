package node

import (
	"fmt"
	"net/netip"
)

// Family is an IP family, spelled as Kubernetes does.
type Family string

// The two families.
const (
	IPv4 Family = "IPv4"
	IPv6 Family = "IPv6"
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Addresses are what one cluster uses; each list has one entry per family, in the order of preference of the cluster.
type Addresses struct {
	Families []Family
	Node     []netip.Addr   // of the node
	Router   []netip.Addr   // the next hop of the node
	Pods     []netip.Prefix // routed between the nodes
	Services []netip.Prefix // the same in every cluster, as is usual: a ClusterIP means nothing elsewhere
	DNS      []netip.Addr   // for the cluster's DNS Service
}

// Plan returns the addresses of the cluster with the given number, from 0 to 199, for the given families; none means
// both, IPv4 first.
func Plan(cluster int, families ...Family) Addresses {
	if len(families) == 0 {
		families = []Family{IPv4, IPv6}
	}
	a := Addresses{Families: families}
	n := 10 + cluster
	for _, family := range families {
		link, pods, services, dns := "192.168.%d.", "10.%d.0.0/16", "172.21.0.0/16", "172.21.0.10"
		if family == IPv6 {
			link, pods, services, dns = "fd00:192:168:%d::", "fd00:10:%d::/64", "fd00:172:21::/112", "fd00:172:21::a"
		}
		a.Node = append(a.Node, netip.MustParseAddr(fmt.Sprintf(link+"2", n)))
		a.Router = append(a.Router, netip.MustParseAddr(fmt.Sprintf(link+"1", n)))
		a.Pods = append(a.Pods, netip.MustParsePrefix(fmt.Sprintf(pods, n)))
		a.Services = append(a.Services, netip.MustParsePrefix(services))
		a.DNS = append(a.DNS, netip.MustParseAddr(dns))
	}
	return a
}

// Strings returns the text of addresses or prefixes.
func Strings[T fmt.Stringer](list []T) []string {
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = item.String()
	}
	return texts
}

// A pool hands out the addresses of a prefix, those given back long ago first.
type pool struct {
	prefix netip.Prefix
	last   netip.Addr
	used   map[netip.Addr]bool
}

func newPool(prefix netip.Prefix) *pool {
	return &pool{prefix: prefix, last: prefix.Addr(), used: map[netip.Addr]bool{}}
}

// take returns a free address. The first and the last one of the prefix have meanings of their own in IPv4, and the
// pools are too large to ever be empty.
func (p *pool) take() netip.Addr {
	for {
		p.last = p.last.Next()
		if !p.prefix.Contains(p.last.Next()) {
			p.last = p.prefix.Addr().Next()
		}
		if !p.used[p.last] {
			p.used[p.last] = true
			return p.last
		}
	}
}

func (p *pool) give(a netip.Addr) { delete(p.used, a) }
