package finding

import (
	"strings"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
)

// TestAdviceFlags: mcsctl dns is advised for the zone and the namespace that were looked at.
func TestAdviceFlags(t *testing.T) {
	const want = "mcsctl dns --context c1 --namespace mcs --zone example.org"
	servers := []nameserver.Server{
		{Role: nameserver.Stock, Namespace: "kube-system", Name: "coredns", Answer: corefile.Answer{State: corefile.Missing}},
		{Role: nameserver.Own, Namespace: "mcs", Name: "coredns-multicluster", Addresses: []string{"10.96.0.53"}, Answer: corefile.Answer{State: corefile.Served}},
	}
	if do := Advice(&servers[0], servers, "example.org", "mcs", " --context c1"); !strings.HasSuffix(do, want) {
		t.Errorf("%q, want %q", do, want)
	}
	servers[0].Answer = corefile.Answer{State: corefile.Forwarded, To: []string{"10.9.9.9"}}
	if caveats := Caveats(&servers[0], servers, "example.org", "mcs", " --context c1"); len(caveats) != 1 || !strings.HasSuffix(caveats[0].Do, want) {
		t.Errorf("%+v, want %q", caveats, want)
	}
}
