package ranges

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// TestOf: ranges that overlap, hold each other or touch become one, those of the two families never.
func TestOf(t *testing.T) {
	for name, tc := range map[string]struct {
		of   []netip.Prefix
		want string
	}{
		"nothing":            {nil, ""},
		"an invalid prefix":  {[]netip.Prefix{{}}, ""},
		"one":                {prefixes("10.96.0.0/16"), "10.96.0.0-10.96.255.255"},
		"one address":        {prefixes("10.96.0.7/32"), "10.96.0.7"},
		"not masked":         {prefixes("10.96.3.4/16"), "10.96.0.0-10.96.255.255"},
		"twice":              {prefixes("10.96.0.0/16", "10.96.0.0/16"), "10.96.0.0-10.96.255.255"},
		"one in another":     {prefixes("10.96.7.0/24", "10.96.0.0/16", "10.96.9.9/32"), "10.96.0.0-10.96.255.255"},
		"that touch":         {prefixes("10.96.0.2/32", "10.96.0.1/32", "10.96.0.3/32"), "10.96.0.1-10.96.0.3"},
		"with a gap":         {prefixes("10.96.0.3/32", "10.96.0.1/32"), "10.96.0.1, 10.96.0.3"},
		"all of IPv4":        {prefixes("128.0.0.0/1", "0.0.0.0/1", "::/128"), "0.0.0.0-255.255.255.255, ::"},
		"both families":      {prefixes("fd00::/112", "10.96.0.0/16"), "10.96.0.0-10.96.255.255, fd00::-fd00::ffff"},
		"the last addresses": {prefixes("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "255.255.255.255/32"), "255.255.255.255, ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(tc.of...)
			if got.String() != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			slices.Reverse(tc.of)
			if !Of(tc.of...).Equal(got) {
				t.Error("the order matters")
			}
		})
	}
}

// TestContains: a set holds exactly what one of its prefixes holds.
func TestContains(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	held := 0
	for round := range 300 {
		var list []netip.Prefix
		for range random.IntN(40) {
			if random.IntN(2) == 0 {
				list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(3)), byte(random.IntN(256))}), 20+random.IntN(13)))
			} else {
				list = append(list, netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(random.IntN(3)), 15: byte(random.IntN(256))}), 118+random.IntN(11)))
			}
		}
		s := Of(list...)
		for range 200 {
			last := [2]byte{byte(random.IntN(3)), byte(random.IntN(256))}
			for _, addr := range []netip.Addr{
				netip.AddrFrom4([4]byte{10, 0, last[0], last[1]}), netip.AddrFrom16([16]byte{0: 0xfd, 14: last[0], 15: last[1]}),
				netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 14: last[0], 15: last[1]}),
				netip.AddrFrom16([16]byte{0: 0xfd, 14: last[0], 15: last[1]}).WithZone("eth0"), {},
			} {
				want := slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
				if want {
					held++
				}
				if got := s.Contains(addr); got != want {
					t.Fatalf("round %d: %v contains %v: %v, want %v", round, s, addr, got, want)
				}
			}
		}
	}
	if held < 1000 {
		t.Errorf("only %d addresses were in a set", held)
	}
}

// BenchmarkOf makes the set of the addresses that 10,000 Services hold, of which none touch each other.
func BenchmarkOf(b *testing.B) {
	var list []netip.Prefix
	for n := range 10_000 {
		list = append(list, netip.MustParsePrefix(fmt.Sprintf("10.96.%d.%d/32", n>>7, n<<1&255)))
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	b.ReportAllocs()
	for b.Loop() {
		if len(Of(list...).list) != len(list) {
			b.Fatal("some are missing")
		}
	}
}
