package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/ranges"
)

// SPEC X2: addresses that no endpoint may have are left out, one by one, and named with the reason; what is good of the same
// slice is imported, and so is everything else.
func TestRefusedAddresses_X2(t *testing.T) {
	for address, why := range map[string]string{
		"127.0.0.1": "loopback address", "169.254.169.254": "link-local address", "224.0.0.1": "multicast address", "0.0.0.0": "unspecified address",
		"10.96.0.10": "in this cluster's service range", "10.5.0.7": "a node of this cluster", "fd00::7": "a node of this cluster", "10.200.0.1": "outside the cluster's declared CIDRs",
		"nonsense": "no IPv4 address", "fd00::1": "no IPv4 address", "::ffff:10.1.0.9": "no IPv4 address", "": "no IPv4 address",
		"::1": "loopback address", "fe80::1": "link-local address", "fe80::1%eth0": "no IPv6 address", "ff02::1": "multicast address",
		"::": "unspecified address", "10.1.0.9": "no IPv6 address", "::ffff:10.1.0.8": "no IPv6 address",
	} {
		family, good := discoveryv1.AddressTypeIPv4, "10.1.0.1"
		if strings.HasSuffix(why, "IPv6 address") || strings.Contains(address, ":") && why != "no IPv4 address" {
			family, good = discoveryv1.AddressTypeIPv6, "fd00::1"
		}
		t.Run(address, func(t *testing.T) {
			east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
			east.slices = []*discoveryv1.EndpointSlice{slice("s", family, []string{"http"}, address, good)}
			east.slices[0].Endpoints[1].Addresses = []string{address, good}
			west.service.IPFamilies = append(west.service.IPFamilies, "IPv6")
			w := wanted(t, east, west)
			w.Sources[0].CIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/9"), netip.MustParsePrefix("fd00::/16")}
			consumer := defaultConsumer()
			consumer.ServiceRanges = ranges.Of(netip.MustParsePrefix("10.96.0.0/16"))
			consumer.NodeAddresses = map[netip.Addr]bool{netip.MustParseAddr("10.5.0.7"): true, netip.MustParseAddr("fd00::7"): true}
			c := newConsumer(t, consumer)
			c.settle(w, noon)
			var got []string
			for _, s := range c.slices {
				for _, e := range s.Endpoints {
					got = append(got, e.Addresses...)
				}
			}
			slices.Sort(got)
			if want := []string{"10.1.0.1", "10.1.0.2", good}; !slices.Equal(got, sortedCopy(want)) {
				t.Errorf("imported %v", got)
			}
			if m := conditionOf(c.imp, ConditionRefused).Message; m != fmt.Sprintf("not imported: east: %s (%s)", address, why) {
				t.Errorf("the import says %q", m)
			}
		})
	}
}

func sortedCopy(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// SPEC X2: too much of anything costs the rest of it, and is said; without it, the condition goes.
func TestRefusedSizes_X2(t *testing.T) {
	many := make([]string, 3000)
	for i := range many {
		many[i] = fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
	}
	e := provider("east", time.Hour)
	e.slices = []*discoveryv1.EndpointSlice{slice("s", discoveryv1.AddressTypeIPv4, []string{"http"}, many...)}
	e.slices[0].Endpoints[0].Addresses = many[:1500]
	e.slices[0].Endpoints[1].Hostname = ptr("Not A Label")
	e.slices[0].Endpoints[2].Zone = ptr("not a label value!")
	e.slices[0].Ports = append(e.slices[0].Ports, e.slices[0].Ports[0])
	e.service.TrafficDistribution = ptr("PreferClose")
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, e), noon)
	for _, s := range c.slices {
		if len(s.Endpoints) != maxEndpoints || len(s.Endpoints[0].Addresses) != maxAddresses || s.Endpoints[1].Hostname != nil || s.Endpoints[2].Hints != nil {
			t.Errorf("%d endpoints, %d addresses", len(s.Endpoints), len(s.Endpoints[0].Addresses))
		}
	}
	want := "not imported: east: 1400 addresses of one endpoint (too many), hostname Not A Label (no DNS label), zone not a label value! (not a label's value), 2000 endpoints of slice s (too many)"
	if got := conditionOf(c.imp, ConditionRefused); got.Message != want {
		t.Errorf("the import says %q", got.Message)
	}
	e.slices = provider("east", time.Hour).slices
	c.settle(wanted(t, e), noon)
	if got := conditionOf(c.imp, ConditionRefused); got.Message != "" {
		t.Errorf("the import still says %q", got.Message)
	}
}

// SPEC X5, E4: the import names the labels and annotations that are not imported, beside endpoints, until there are none.
func TestRefusedKeysOnImport_X5(t *testing.T) {
	e := provider("east", time.Hour)
	c := newConsumer(t, defaultConsumer())
	w := wanted(t, e)
	w.RefusedKeys = map[string][]string{"west": {"label a.io/b (x)"}, "east": {"annotation c.io/d (x)", "annotation e.io/f (x)"}}
	c.settle(w, noon)
	const keys = "labels and annotations not imported: east: annotation c.io/d (x), annotation e.io/f (x); west: label a.io/b (x)"
	if got := conditionOf(c.imp, ConditionRefused); got.Message != keys || got.Reason != "KeysRefused" {
		t.Errorf("the import says %s: %s", got.Reason, got.Message)
	}
	w.Sources[0].Slices = []*discoveryv1.EndpointSlice{slice("s", discoveryv1.AddressTypeIPv4, []string{"http"}, "127.0.0.1", "10.1.0.1")}
	c.settle(w, noon)
	if got := conditionOf(c.imp, ConditionRefused); got.Message != "not imported: east: 127.0.0.1 (loopback address); "+keys || got.Reason != "EndpointsRefused,KeysRefused" {
		t.Errorf("the import says %s: %s", got.Reason, got.Message)
	}
	c.settle(wanted(t, e), noon)
	if got := conditionOf(c.imp, ConditionRefused); got.Message != "" {
		t.Errorf("the import still says %q", got.Message)
	}
}

// SPEC X6: a member can have as many refused addresses as it likes; only so many are compared and kept.
func TestRefusalsAreBounded_X6(t *testing.T) {
	r := refusals{}
	for i := range 200_000 {
		r.add("evil", fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff), "outside")
	}
	if n := len(r["evil"]); n != maxRefusals+1 {
		t.Errorf("%d are kept, want %d and the word that there are more", n, maxRefusals)
	}
	if said, want := r.clauses(), "evil: 10.0.0.0 (outside), "; !strings.HasPrefix(said, want) || len(said) > 1000 {
		t.Errorf("people are told %q", said)
	}
}

// TestSlicesOfOneName_X6: a member fills importing clusters with no more than so many slices and endpoints of one name, whatever it
// has, and others keep theirs.
func TestSlicesOfOneName_X6(t *testing.T) {
	for name, c := range map[string]struct{ slices, endpoints, ports int }{
		"slices": {keep.MaxSlices + 3, 1, 1}, "endpoints": {keep.MaxEndpoints/1000 + 3, 1000, 1}, "ports": {keep.MaxSlicePorts/1000 + 3, 1, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
			east.slices = nil
			for i := range c.slices {
				var addresses []string
				for j := range c.endpoints {
					addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", j/250, j%250+1))
				}
				ports := []string{"http"}
				for j := range c.ports - 1 {
					ports = append(ports, fmt.Sprint("other-", j))
				}
				east.slices = append(east.slices, slice(fmt.Sprintf("s-%04d", i), discoveryv1.AddressTypeIPv4, ports, addresses...))
			}
			held := newConsumer(t, defaultConsumer())
			held.settle(wanted(t, east, west), noon)
			of := map[string]int{}
			for _, s := range held.slices {
				of[s.Labels[mcsapi.LabelSourceCluster]]++
			}
			if of["east"] != c.slices-3 || of["west"] != len(west.slices) {
				t.Errorf("slices: %v, of %d and %d", of, len(east.slices), len(west.slices))
			}
			if m := conditionOf(held.imp, ConditionRefused).Message; m != "not imported: east: its further slices (more than 1000 slices, 100000 endpoints or 100000 ports)" {
				t.Errorf("the import says %q", m)
			}
		})
	}
}

// TestFurtherSlices_X6: that a member has slices which are not even kept is said on the import, as if they had been.
func TestFurtherSlices_X6(t *testing.T) {
	held := newConsumer(t, defaultConsumer())
	w := wanted(t, provider("east", time.Hour))
	w.Sources[0].Further = keep.FurtherSlices(0)
	held.settle(w, noon)
	if m := conditionOf(held.imp, ConditionRefused).Message; m != "not imported: east: its further slices (more than 1000 slices, 100000 endpoints or 100000 ports)" {
		t.Errorf("the import says %q", m)
	}
	w.Sources[0].Further = ""
	held.settle(w, noon)
	if m := conditionOf(held.imp, ConditionRefused).Message; m != "" {
		t.Errorf("the import still says %q", m)
	}
}

// BenchmarkServiceRanges judges the 1000 addresses of a slice where the importing cluster has two ranges of Service addresses, and
// where only its Services show which addresses they hold.
func BenchmarkServiceRanges(b *testing.B) {
	for _, services := range []int{2, 100, 10_000} {
		b.Run(fmt.Sprint(services, " ranges"), func(b *testing.B) {
			var held []netip.Prefix
			for n := range services { // every other address, or they would be one range
				addr := netip.AddrFrom4([4]byte{10, 96, byte(n >> 7), byte(n << 1)})
				held = append(held, netip.PrefixFrom(addr, 32))
			}
			p := newPass(Consumer{Cluster: "c", ServiceRanges: ranges.Of(held...)}, Wanted{}, Held{}, noon)
			var addresses []string
			for n := range 1000 {
				addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", n>>8, n&255))
			}
			source := &Source{Cluster: "p"}
			b.ReportAllocs()
			for b.Loop() {
				for _, a := range addresses {
					if why := p.unacceptable(source, discoveryv1.AddressTypeIPv4, a); why != "" {
						b.Fatal(a, why)
					}
				}
			}
		})
	}
}
