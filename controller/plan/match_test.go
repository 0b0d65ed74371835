package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// TestGeneratedName_M2_I3: a person's import may list an unnamed port that stands among others by its generated name, or without
// one; another name is a mismatch, which says the generated one.
func TestGeneratedName_M2_I3(t *testing.T) {
	exported := []merge.Port{
		{Protocol: corev1.ProtocolTCP, Number: 80, Published: "80-tcp"},
		{Name: "admin", Protocol: corev1.ProtocolTCP, Number: 9090, Published: "admin"},
	}
	for name, want := range map[string]string{"": "", "80-tcp": "", "http": "spec.ports[0].name is http, expected 80-tcp for 80/TCP"} {
		served, bad := filter([]mcs.ServicePort{{Name: name, Port: 80}}, exported)
		if got := strings.Join(bad, "; "); got != want || (len(served) == 1) != (want == "") {
			t.Errorf("listed as %q: served %v, said %q, want %q", name, served, got, want)
		}
	}
	_, bad := filter([]mcs.ServicePort{{Port: 81}}, exported)
	if want := "spec.ports[0] is 81/TCP, expected one of 80-tcp 80/TCP, admin 9090/TCP"; strings.Join(bad, "; ") != want {
		t.Errorf("said %q, want %q", bad, want)
	}
}

// TestManyPorts_X6: a person's import that lists thousands of ports, none of which is exported, costs no more than the exported ports
// and its own, and of its own at most as many as a Service may have.
func TestManyPorts_X6(t *testing.T) {
	exported := make([]merge.Port, merge.MaxPorts)
	for i := range exported {
		exported[i] = merge.Port{Protocol: corev1.ProtocolTCP, Number: int32(i + 1), Published: "p"}
	}
	asks := make([]mcs.ServicePort, 8*merge.MaxPorts)
	for i := range asks {
		asks[i] = mcs.ServicePort{Name: "q", Port: int32(20_000 + i)}
	}
	asks[merge.MaxPorts] = mcs.ServicePort{Port: 1} // exported, and one too many
	var bad []string
	allocations := testing.AllocsPerRun(1, func() { _, bad = filter(asks, exported) })
	if most := 20 * (len(exported) + merge.MaxPorts); allocations > float64(most) {
		t.Errorf("%.0f allocations, want at most %d", allocations, most)
	}
	served, _ := filter(asks, exported)
	if want := "spec.ports has 8000 ports, expected at most 1000"; len(served) != 0 || len(bad) != merge.MaxPorts+1 || bad[0] != want {
		t.Errorf("served %d, said %d things, first %q, want %q", len(served), len(bad), bad[0], want)
	}
	if served, bad = filter(asks[1:merge.MaxPorts+1], exported); len(served) != 1 || len(bad) != merge.MaxPorts-1 {
		t.Errorf("of as many as may be: served %d, said %d things", len(served), len(bad))
	}
}
