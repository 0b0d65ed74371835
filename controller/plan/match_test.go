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
