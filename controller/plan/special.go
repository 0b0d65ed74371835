package plan

import (
	"net/netip"
	"slices"
)

// This file is what no endpoint of another cluster can be (SPEC X2): the special-purpose ranges of the IANA registries
// (RFC 6890, iana-ipv4-special-registry and iana-ipv6-special-registry), multicast, forms of IPv6 that hold an IPv4 address,
// and the addresses at which clouds serve credentials to their machines. Private-use (10.0.0.0/8, 172.16.0.0/12,
// 192.168.0.0/16), shared (100.64.0.0/10) and unique-local (fc00::/7) space is where pods are, so it is not here.

// special is a range of addresses that are for something else.
type special struct {
	prefix netip.Prefix
	name   string
	source string // who says so: an RFC, or the documentation of a cloud
	// declared says that endpoints can be there where the cluster's registration declares the range: people build networks of
	// such addresses, and nothing else uses them there.
	declared bool
}

const (
	never    = false
	declared = true
)

// specials are in order: the first that holds an address is what the address is.
var specials = []special{
	{netip.MustParsePrefix("168.63.129.16/32"), "metadata address of Azure", "Azure, IP address 168.63.129.16", never},
	{netip.MustParsePrefix("100.100.100.200/32"), "metadata address of Alibaba Cloud", "ECS, instance metadata", never},
	{netip.MustParsePrefix("fd00:100::100:200/128"), "metadata address of Alibaba Cloud", "ECS, instance metadata", never},
	{netip.MustParsePrefix("192.0.0.192/32"), "metadata address of Oracle Cloud", "Oracle Cloud Classic, instance metadata", never},
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), "metadata address of Oracle Cloud", "OCI, instance metadata", never},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "metadata address of AWS", "EC2, instance metadata", never},
	{netip.MustParsePrefix("fd00:ec2::23/128"), "credentials address of AWS", "EKS, Pod Identity agent", never},
	{netip.MustParsePrefix("fd20:ce::254/128"), "metadata address of Google Cloud", "Compute Engine, metadata server", never},
	{netip.MustParsePrefix("fd00:42::42/128"), "metadata address of Scaleway", "Scaleway, instance metadata", never},
	{netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"), "metadata address of Akamai", "Linode, metadata service", never},

	{netip.MustParsePrefix("0.0.0.0/32"), "unspecified address", "RFC 1122", never},
	{netip.MustParsePrefix("0.0.0.0/8"), "address of this network", "RFC 791", never},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback address", "RFC 1122", never},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local address", "RFC 3927", never},
	{netip.MustParsePrefix("192.0.0.0/24"), "address of a protocol", "RFC 6890", never},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation address", "RFC 5737", declared},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112 address", "RFC 7535", never},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT relay address", "RFC 7450", never},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay address", "RFC 7526", never},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112 address", "RFC 7534", never},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking address", "RFC 2544", declared},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation address", "RFC 5737", declared},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation address", "RFC 5737", declared},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast address", "RFC 5771", never},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast address", "RFC 919", never},
	{netip.MustParsePrefix("240.0.0.0/4"), "class E address", "RFC 1112", declared},

	{netip.MustParsePrefix("::/128"), "unspecified address", "RFC 4291", never},
	{netip.MustParsePrefix("::1/128"), "loopback address", "RFC 4291", never},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible address", "RFC 4291", never},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated address", "RFC 2765", never},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64 address", "RFC 6052", never},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64 address", "RFC 8215", never},
	{netip.MustParsePrefix("100::/64"), "discard-only address", "RFC 6666", never},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy address", "RFC 9780", never},
	{netip.MustParsePrefix("2001::/32"), "Teredo address", "RFC 4380", never},
	{netip.MustParsePrefix("2001:2::/48"), "benchmarking address", "RFC 5180", declared},
	{netip.MustParsePrefix("2001::/23"), "address of a protocol", "RFC 2928", never},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation address", "RFC 3849", declared},
	{netip.MustParsePrefix("2002::/16"), "6to4 address", "RFC 3056", never},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112 address", "RFC 7534", never},
	{netip.MustParsePrefix("3fff::/20"), "documentation address", "RFC 9637", declared},
	{netip.MustParsePrefix("5f00::/16"), "segment routing address", "RFC 9602", never},
	{netip.MustParsePrefix("fe80::/10"), "link-local address", "RFC 4291", never},
	{netip.MustParsePrefix("ff00::/8"), "multicast address", "RFC 4291", never},
}

// specialPurpose returns what addr is for, if not for endpoints of a cluster that declared the ranges; "" otherwise.
func specialPurpose(addr netip.Addr, ranges []netip.Prefix) string {
	for i := range specials {
		s := &specials[i]
		switch {
		case !s.prefix.Contains(addr):
		case !s.declared:
			return s.name
		case slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) }):
			return ""
		default:
			return s.name + ", only imported within declared CIDRs"
		}
	}
	if isatap(addr) {
		return "ISATAP address"
	}
	return ""
}

// isatap reports whether the interface identifier holds an IPv4 address, whatever the prefix (RFC 5214, section 6.1).
func isatap(addr netip.Addr) bool {
	b := addr.As16()
	return addr.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
