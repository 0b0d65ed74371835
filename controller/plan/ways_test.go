package plan

import (
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestWays_X6: what a slice is compared by takes no memory per port but its place in a list, whatever its texts are. A port without a
// name is another way than no port.
func TestWays_X6(t *testing.T) {
	s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressType(strings.Repeat("x", 1<<20))}
	if w := ways(s); len(w) != 1 || w[0] == (way{family: s.AddressType}) {
		t.Errorf("without ports: %d ways", len(w))
	}
	for range 100 {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: ptr("http")}, discoveryv1.EndpointPort{})
	}
	if allocations := testing.AllocsPerRun(3, func() { ways(s) }); allocations > 1 {
		t.Errorf("%v allocations for %d ports", allocations, len(s.Ports))
	}
	if w := ways(s); len(w) != len(s.Ports) || w[0] != (way{family: s.AddressType, port: "http"}) || w[1] != (way{family: s.AddressType}) {
		t.Errorf("%d ways", len(w))
	}
}
