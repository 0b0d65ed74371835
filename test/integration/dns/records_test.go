package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/test/kit"
)

const corefile = `.:{port} {
    bind 127.0.0.1
    multicluster clusterset.local {
        kubeconfig %s
    }
}
`

const web = `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: web, namespace: NS}
spec: {type: ClusterSetIP, ports: [{name: http, port: 80, protocol: TCP}], ips: [10.96.1.1]}`

const db = `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: db, namespace: NS}
spec: {type: Headless, ports: [{name: pg, port: 5432, protocol: TCP}]}`

const dbEast = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-east
  namespace: NS
  labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-1, conditions: {ready: true}}`

// TestClusterSetIP: an import that is made, changed and deleted (SPEC D2, D5).
func TestClusterSetIP(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	name := "web." + ns + ".svc.clusterset.local."
	s.answers(want{name: name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	apply(t, c, ns, web)
	s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.1"}})
	s.answers(want{name: name, qtype: dns.TypeAAAA})
	s.answers(want{name: "_http._tcp." + name, qtype: dns.TypeSRV,
		answer: []string{"_http._tcp." + name + " 5 IN SRV 0 100 80 " + name}, extra: []string{name + " 5 IN A 10.96.1.1"}})
	apply(t, c, ns, strings.NewReplacer("10.96.1.1", `10.96.1.2, "fd00::2"`, "http", "grpc").Replace(web))
	s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.2"}})
	s.answers(want{name: name, qtype: dns.TypeAAAA, answer: []string{name + " 5 IN AAAA fd00::2"}})
	s.answers(want{name: "_http._tcp." + name, qtype: dns.TypeSRV, rcode: dns.RcodeNameError})
	remove(t, c, imports, ns, "web")
	s.answers(want{name: name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	s.answers(want{name: ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
}

// TestHeadless: endpoints that come, become not ready, change their service, and go (SPEC D3); a type that flips; a
// namespace that is deleted.
func TestHeadless(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	name, other := "db."+ns+".svc.clusterset.local.", "other."+ns+".svc.clusterset.local."
	both := want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.1.0.1", name + " 5 IN A 10.1.0.2"}}
	first := want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.1.0.1"}}
	absent := want{name: name, qtype: dns.TypeA, rcode: dns.RcodeNameError}

	apply(t, c, ns, db)
	s.answers(want{name: ns + ".svc.clusterset.local.", qtype: dns.TypeA})
	s.answers(absent)
	apply(t, c, ns, dbEast)
	s.answers(both)
	s.answers(want{name: "db-1.east." + name, qtype: dns.TypeA, answer: []string{"db-1.east." + name + " 5 IN A 10.1.0.2"}})

	apply(t, c, ns, strings.Replace(dbEast, "db-1, conditions: {ready: true}", "db-1, conditions: {ready: false}", 1))
	s.answers(first)
	s.answers(want{name: "db-1.east." + name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	apply(t, c, ns, dbEast)
	s.answers(both)

	apply(t, c, ns, strings.Replace(dbEast, "service-name: db", "service-name: other", 1))
	s.answers(absent)
	apply(t, c, ns, strings.Replace(db, "name: db", "name: other", 1))
	s.answers(want{name: other, qtype: dns.TypeA, answer: []string{other + " 5 IN A 10.1.0.1", other + " 5 IN A 10.1.0.2"}})
	apply(t, c, ns, dbEast)
	s.answers(both)
	s.answers(want{name: other, qtype: dns.TypeA, rcode: dns.RcodeNameError})

	unlabel(t, c, ns, "db-east")
	s.answers(absent)
	apply(t, c, ns, dbEast)
	s.answers(both)

	apply(t, c, ns, strings.NewReplacer("type: Headless", "type: ClusterSetIP, ips: [10.96.1.7]").Replace(db))
	s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.7"}})
	s.answers(want{name: "db-1.east." + name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	apply(t, c, ns, strings.NewReplacer("type: Headless", "type: Headless, ips: []").Replace(db))
	s.answers(both)

	remove(t, c, slicesV, ns, "db-east")
	s.answers(absent)
	apply(t, c, ns, dbEast)
	s.answers(both)
	deleteNamespace(t, c.Config(), ns)
	s.answers(absent)
	s.answers(want{name: ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
	kit.Eventually(t, "the namespace is gone", func() error {
		client, err := kubernetes.NewForConfig(c.Config())
		if err != nil {
			return err
		}
		if _, err = client.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("it is still there")
		}
		return nil
	})
}

// TestRank_P3: the next rank answers when the preferred cluster has no ready endpoint, and the preferred one again when it has;
// a rank that changes shows.
func TestRank_P3(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	name := "db." + ns + ".svc.clusterset.local."
	ranked := func(slice, rank string) string {
		return strings.Replace(slice, "  labels:", "  annotations: {clusterset.dev/rank: \""+rank+"\"}\n  labels:", 1)
	}
	east, west := ranked(dbEast, "0"), ranked(strings.NewReplacer("east", "west", "10.1.0.", "10.2.0.").Replace(dbEast), "1")
	answered := func(third string) {
		t.Helper()
		s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10." + third + ".0.1", name + " 5 IN A 10." + third + ".0.2"}})
	}
	apply(t, c, ns, db)
	apply(t, c, ns, west)
	answered("2")
	apply(t, c, ns, east)
	answered("1")
	s.answers(want{name: "db-1.west." + name, qtype: dns.TypeA, answer: []string{"db-1.west." + name + " 5 IN A 10.2.0.2"}})
	apply(t, c, ns, strings.ReplaceAll(east, "ready: true", "ready: false"))
	answered("2")
	apply(t, c, ns, east)
	answered("1")
	apply(t, c, ns, strings.Replace(east, "\"0\"", "\"2\"", 1))
	answered("2")
}
