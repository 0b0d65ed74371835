package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestCorefileExamples_A5 loads every file of corefile-examples with the real binary and asks it something. What differs from
// the file is what a machine differs in: ports, addresses, and the way to the API server, which is a pod's in most of them.
func TestCorefileExamples_A5(t *testing.T) {
	c := sharedCluster(t)
	apply(t, c, "", `
apiVersion: v1
kind: Namespace
metadata: {name: provider-ns}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: service1, namespace: provider-ns}
spec: {type: ClusterSetIP, ports: [{name: http, port: 80, protocol: TCP}], ips: [10.96.1.7]}`)
	const name, missing = "service1.provider-ns.svc.clusterset.local.", "nobody.provider-ns.svc.clusterset.local."
	const kubernetes = "kubernetes.default.svc.cluster.local."

	for file, asked := range map[string][]want{
		"document.corefile": {
			{name: missing, qtype: dns.TypeA, rcode: dns.RcodeNameError},
			{name: kubernetes, qtype: dns.TypeA, answer: []string{kubernetes + " 30 IN A 10.96.0.1"}},
			{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.7"}},
		},
		"minimal.corefile": {
			{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.7"}},
			{name: missing, qtype: dns.TypeA, rcode: dns.RcodeNameError},
		},
		"fallthrough.corefile": {
			{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.7"}},
			{name: name, qtype: dns.TypeAAAA}, // exists here, so nobody else is asked
			{name: missing, qtype: dns.TypeA, answer: []string{missing + " 60 IN A 192.0.2.9"}},
		},
		"out-of-cluster.corefile": {
			{name: name, qtype: dns.TypeA, answer: []string{name + " 30 IN A 10.96.1.7"}},
		},
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("../../../corefile-examples", file))
			if err != nil {
				t.Fatal(err)
			}
			s := serve(t, here(t, string(body), c.Kubeconfig(), c.Name()))
			for _, w := range asked {
				s.answers(w)
			}
		})
	}
	files, err := filepath.Glob("../../../corefile-examples/*.corefile")
	if err != nil || len(files) != 4 {
		t.Errorf("%d examples, %v: every one has to be loaded by this test", len(files), err)
	}
}

// here makes of a Corefile for a cluster one for this machine.
func here(t *testing.T, corefile, kubeconfig, context string) string {
	t.Helper()
	pairs := []string{
		":53 {", ":{port} {\n    bind 127.0.0.1",
		":9153", "127.0.0.1:{port:metrics}",
		"health {", "health 127.0.0.1:{port:health} {",
		"    ready\n", "    ready 127.0.0.1:{port:ready}\n",
		"lameduck 15s", "lameduck 0s",
		"multicluster clusterset.local # Add this line.", "multicluster clusterset.local {\n        kubeconfig " + kubeconfig + "\n    }",
		"    multicluster\n", "    multicluster {\n        kubeconfig " + kubeconfig + "\n    }\n",
		"        fallthrough\n    }\n    forward . 10.96.0.53", "        fallthrough\n        kubeconfig " + kubeconfig + "\n    }\n    forward . " + elsewhere(t),
		"kubeconfig /etc/coredns/kubeconfig consumer", "kubeconfig " + kubeconfig + " " + context,
		"        pods verified", "        kubeconfig " + kubeconfig + "\n        pods verified",
		"    loop\n", "",
	}
	return strings.NewReplacer(pairs...).Replace(corefile)
}

// elsewhere is another name server, with one address for every name.
func elsewhere(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		rr, err := dns.NewRR(fmt.Sprintf("%s 60 IN A 192.0.2.9", r.Question[0].Name))
		if err == nil {
			m.Answer = []dns.RR{rr}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return conn.LocalAddr().String()
}
