package join

import (
	"net/netip"
	"slices"
)

// aggregate returns the fewest prefixes that cover the same addresses: the pod ranges of a cluster's nodes, which are many,
// mostly make up one. The order is that of addresses.
func aggregate(list []netip.Prefix) []netip.Prefix {
	list = slices.Clone(list)
	for i := range list {
		list[i] = list[i].Masked()
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	var out []netip.Prefix
	for _, p := range list {
		if n := len(out); n > 0 && out[n-1].Overlaps(p) {
			continue // sorted, so the one before is the wider
		}
		out = append(out, p)
		for n := len(out); n > 1 && siblings(out[n-2], out[n-1]); n-- {
			out = append(out[:n-2], parent(out[n-1]))
		}
	}
	return out
}

func siblings(a, b netip.Prefix) bool {
	return a.Bits() == b.Bits() && a.Bits() > 0 && a != b && parent(a) == parent(b)
}

func parent(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
}

// overlap returns the first two prefixes, one of each list, that share addresses.
func overlap(a, b []netip.Prefix) (x, y netip.Prefix, found bool) {
	for _, x := range a {
		for _, y := range b {
			if x.Overlaps(y) {
				return x, y, true
			}
		}
	}
	return netip.Prefix{}, netip.Prefix{}, false
}

// ParseCIDRs reads ranges such as "10.1.0.0/16"; what is none is left out and returned second.
func ParseCIDRs(list []string) (ranges []netip.Prefix, bad []string) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			bad = append(bad, text)
			continue
		}
		ranges = append(ranges, p.Masked())
	}
	return ranges, bad
}
