package validate

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A canary is CoreDNS run as the pod of deploy/coredns-stock/canary would be: its Corefile, under the ServiceAccount of the stock
// CoreDNS (deploy/README.md, "Into the stock CoreDNS").
type canary struct{ dns, metrics string } // addresses

// runCanary starts it. What differs from the pod are the ports: a pod has all to itself.
func runCanary(t *testing.T, s *server) *canary {
	t.Helper()
	c := &canary{"127.0.0.1:" + freePort(t), "127.0.0.1:" + freePort(t)}
	objects := kustomized(t, "coredns-stock/canary")
	spec := new(corev1.Pod)
	strictly(t, oneOf(t, objects, "Pod", "coredns-canary"), spec)
	configMap := oneOf(t, objects, "ConfigMap", spec.Spec.Volumes[0].ConfigMap.Name)
	corefile, _, _ := unstructured.NestedString(configMap.Object, "data", "Corefile")
	_, port, _ := net.SplitHostPort(c.dns)
	corefile = strings.NewReplacer(".:53 {", ".:"+port+" {\n    bind 127.0.0.1",
		"    health\n", "", "    ready\n", "", ":9153", c.metrics).Replace(corefile)
	file := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(file, []byte(corefile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyYAML(t.Context(), []byte(coreDNSAccount), []byte(systemCoreDNS)); err != nil {
		t.Fatal(err)
	}
	s.run(t, program(t, "coredns"), "kube-system", &spec.Spec, strings.NewReplacer("/etc/coredns/Corefile", file))
	return c
}

// answers asks what the README asks: a service of the clusterset, a Service of the cluster as ever, and the name that tells whether
// the plugin could read everything.
func (c *canary) answers(t *testing.T, ip string) {
	t.Helper()
	for name, want := range map[string]string{
		"cart.shop.svc.clusterset.local.":       ip,
		"kubernetes.default.svc.cluster.local.": "10.96.0.1",
		"svc.clusterset.local.":                 "",
	} {
		c.says(t, name, want)
	}
}

// says waits until it answers with the one address, or, for "", that the name has none.
func (c *canary) says(t *testing.T, name, want string) {
	t.Helper()
	await(t, time.Minute, func(ctx context.Context) error {
		reply, _, err := (&dns.Client{}).ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA), c.dns)
		if err != nil {
			return err
		}
		var got []string
		for _, rr := range reply.Answer {
			got = append(got, rr.(*dns.A).A.String())
		}
		if reply.Rcode != dns.RcodeSuccess || !slices.Equal(got, strings.Fields(want)) {
			return fmt.Errorf("%s: got %s %q, want %q", name, dns.RcodeToString[reply.Rcode], got, want)
		}
		return nil
	})
}

// coreDNSAccount is who the stock CoreDNS runs as.
const coreDNSAccount = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: coredns, namespace: kube-system}}"

// systemCoreDNS is the right that a stock CoreDNS has from kubeadm.
const systemCoreDNS = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
`

// freePort returns a port that is free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		packets, err := net.ListenPacket("udp", address)
		listener.Close()
		if err != nil {
			continue
		}
		packets.Close()
		_, port, _ := net.SplitHostPort(address)
		return port
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}
