package plan

import (
	"net/netip"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// specialCases are addresses of every range of the table, its edges, and what lies beside it: what each is called without
// declared ranges, and whether it is imported from a cluster that declared everything.
var specialCases = []struct {
	address, name string
	declared      bool
}{
	{"168.63.129.16", "metadata address of Azure", false},
	{"168.63.129.17", "", true},
	{"100.100.100.200", "metadata address of Alibaba Cloud", false},
	{"100.100.100.201", "", true},
	{"fd00:100::100:200", "metadata address of Alibaba Cloud", false},
	{"192.0.0.192", "metadata address of Oracle Cloud", false},
	{"fd00:c1::a9fe:a9fe", "metadata address of Oracle Cloud", false},
	{"fd00:ec2::254", "metadata address of AWS", false},
	{"fd00:ec2::23", "credentials address of AWS", false},
	{"fd00:ec2::255", "", true},
	{"fd20:ce::254", "metadata address of Google Cloud", false},
	{"fd00:42::42", "metadata address of Scaleway", false},
	{"fd00:a9fe:a9fe::1", "metadata address of Akamai", false},

	{"0.0.0.0", "unspecified address", false},
	{"0.255.255.255", "address of this network", false},
	{"1.0.0.0", "", true},
	{"10.0.0.1", "", true},
	{"100.64.0.1", "", true},
	{"127.255.0.1", "loopback address", false},
	{"169.254.169.254", "link-local address", false},
	{"172.16.0.1", "", true},
	{"192.0.0.8", "address of a protocol", false},
	{"192.0.1.1", "", true},
	{"192.0.2.1", "documentation address", true},
	{"192.31.196.1", "AS112 address", false},
	{"192.52.193.1", "AMT relay address", false},
	{"192.88.99.1", "6to4 relay address", false},
	{"192.168.0.1", "", true},
	{"192.175.48.1", "AS112 address", false},
	{"198.17.255.255", "", true},
	{"198.18.0.1", "benchmarking address", true},
	{"198.19.255.255", "benchmarking address", true},
	{"198.20.0.0", "", true},
	{"198.51.100.1", "documentation address", true},
	{"203.0.113.255", "documentation address", true},
	{"224.0.0.1", "multicast address", false},
	{"239.255.255.255", "multicast address", false},
	{"240.0.0.1", "class E address", true},
	{"255.255.255.254", "class E address", true},
	{"255.255.255.255", "broadcast address", false},

	{"::", "unspecified address", false},
	{"::1", "loopback address", false},
	{"::a9fe:a9fe", "IPv4-compatible address", false},
	{"::ffff:0:a9fe:a9fe", "IPv4-translated address", false},
	{"64:ff9b::a9fe:a9fe", "NAT64 address", false},
	{"64:ff9b:1::a9fe:a9fe", "NAT64 address", false},
	{"100::1", "discard-only address", false},
	{"100:0:0:1::1", "dummy address", false},
	{"2001:0:a9fe:a9fe::1", "Teredo address", false},
	{"2001:2::1", "benchmarking address", true},
	{"2001:2:1::1", "address of a protocol", false},
	{"2001:20::1", "address of a protocol", false},
	{"2001:200::1", "", true},
	{"2001:db8::1", "documentation address", true},
	{"2002:a9fe:a9fe::1", "6to4 address", false},
	{"2620:4f:8000::1", "AS112 address", false},
	{"2620:4f:8001::1", "", true},
	{"3fff:fff::1", "documentation address", true},
	{"3fff:1000::1", "", true},
	{"5f00::1", "segment routing address", false},
	{"2a00::1", "", true},
	{"fc00::1", "", true},
	{"fd00::1", "", true},
	{"fe80::1", "link-local address", false},
	{"febf::1", "link-local address", false},
	{"ff02::1", "multicast address", false},

	{"fd00::5efe:a9fe:a9fe", "ISATAP address", false},
	{"fd00::200:5efe:a9fe:a9fe", "ISATAP address", false},
	{"fd00::300:5efe:a9fe:a9fe", "", true},
}

// SPEC X2: each special-purpose range is refused by name, in its first and last address as well; benchmarking, documentation
// and class E are imported where they are declared; what is private, shared or unique-local, or beside a range, is imported.
func TestSpecialPurpose_X2(t *testing.T) {
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	seen := map[string]bool{}
	for _, c := range specialCases {
		addr := netip.MustParseAddr(c.address)
		family := discoveryv1.AddressTypeIPv4
		if addr.Is6() {
			family = discoveryv1.AddressTypeIPv6
		}
		want := c.name
		if c.name != "" && c.declared {
			want += ", only imported within declared CIDRs"
		}
		p := newPass(defaultConsumer(), Wanted{}, Held{}, noon)
		if got := p.unacceptable(&Source{Cluster: "east"}, family, c.address); got != want {
			t.Errorf("%s is %q, want %q", c.address, got, want)
		}
		got := p.unacceptable(&Source{Cluster: "east", CIDRs: everything}, family, c.address)
		if (got == "") != c.declared || got != "" && got != c.name {
			t.Errorf("%s is %q where everything is declared", c.address, got)
		}
		for i := range specials {
			if specials[i].prefix.Contains(addr) {
				seen[specials[i].prefix.String()] = true
				break
			}
		}
	}
	for i := range specials {
		s := &specials[i]
		if !seen[s.prefix.String()] {
			t.Errorf("no case is about %s", s.prefix)
		}
		if s.prefix != s.prefix.Masked() || s.name == "" || s.source == "" {
			t.Errorf("%+v", s)
		}
		for _, earlier := range specials[:i] {
			if earlier.prefix.Bits() <= s.prefix.Bits() && earlier.prefix.Contains(s.prefix.Addr()) {
				t.Errorf("%s can't be reached behind %s", s.prefix, earlier.prefix)
			}
		}
		last := lastOf(s.prefix)
		for _, edge := range []netip.Addr{s.prefix.Addr(), last} {
			if got := specialPurpose(edge, nil); got == "" || strings.HasPrefix(got, "ISATAP") {
				t.Errorf("%s, an edge of %s, passes", edge, s.prefix)
			}
		}
	}
}

// lastOf is the last address of a range.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
