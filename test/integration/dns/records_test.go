package dns

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

const corefile = `.:{port} {
    bind 127.0.0.1
    multicluster clusterset.local {
        kubeconfig %s
    }
}
`

// TestClusterSetIP: SPEC D2, D5.
func TestClusterSetIP(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	name := "web." + ns + ".svc.clusterset.local."
	s.answers(want{name: name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	apply(t, c, ns, `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: web, namespace: NS}
spec: {type: ClusterSetIP, ports: [{name: http, port: 80, protocol: TCP}], ips: [10.96.1.1]}`)
	s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.1"}})
	s.answers(want{name: name, qtype: dns.TypeAAAA})
	s.answers(want{name: "_http._tcp." + name, qtype: dns.TypeSRV,
		answer: []string{"_http._tcp." + name + " 5 IN SRV 0 100 80 " + name}, extra: []string{name + " 5 IN A 10.96.1.1"}})
	remove(t, c, imports, ns, "web")
	s.answers(want{name: name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
}
