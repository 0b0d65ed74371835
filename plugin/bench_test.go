package multicluster

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// discard is a client over UDP that throws replies away. Like a real connection it has its address at hand.
type discard struct{ test.ResponseWriter }

var remote = &net.UDPAddr{IP: net.IPv4(10, 240, 0, 1), Port: 40212}

func (*discard) WriteMsg(*dns.Msg) error { return nil }
func (*discard) RemoteAddr() net.Addr    { return remote }

func bigSlice(name, service, cluster string, endpoints, third int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
kind: EndpointSlice
metadata:
  name: %s
  namespace: ns
  labels: {multicluster.kubernetes.io/service-name: %s, multicluster.kubernetes.io/source-cluster: %s}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
`, name, service, cluster)
	for i := range endpoints {
		fmt.Fprintf(&b, "- {addresses: [10.%d.%d.%d]}\n", third, i/250, i%250+1)
	}
	return b.String()
}

// BenchmarkServeDNS is the handler alone, from question to message, with answers of several sizes. What is cut from an answer
// over UDP is never built, so that the time does not grow with the number of endpoints.
func BenchmarkServeDNS(b *testing.B) {
	f := newFixture(b, testZone)
	f.apply(`
kind: ServiceImport
metadata: {name: web, namespace: ns}
spec: {type: ClusterSetIP, ips: [10.96.0.7], ports: [{name: http, port: 80, protocol: TCP}]}`)
	for _, n := range []int{10, 100, 1000} {
		f.apply(fmt.Sprintf("\nkind: ServiceImport\nmetadata: {name: db%d, namespace: ns}\nspec: {type: Headless, ports: [{name: http, port: 8080}]}", n))
		f.apply(bigSlice(fmt.Sprintf("s%d", n), fmt.Sprintf("db%d", n), "a", n, 1))
	}
	for _, c := range []struct {
		name, question string
		qtype          uint16
	}{
		{"ClusterSetIP/A", "web.ns.svc.clusterset.local.", dns.TypeA},
		{"ClusterSetIP/AAAA", "web.ns.svc.clusterset.local.", dns.TypeAAAA},
		{"ClusterSetIP/SRV", "_http._tcp.web.ns.svc.clusterset.local.", dns.TypeSRV},
		{"NXDOMAIN", "nobody.ns.svc.clusterset.local.", dns.TypeA},
		{"Endpoint/A", "10-1-0-5.a.db100.ns.svc.clusterset.local.", dns.TypeA},
		{"Headless/A/10", "db10.ns.svc.clusterset.local.", dns.TypeA},
		{"Headless/A/100", "db100.ns.svc.clusterset.local.", dns.TypeA},
		{"Headless/A/1000", "db1000.ns.svc.clusterset.local.", dns.TypeA},
		{"Headless/SRV/100", "_http._tcp.db100.ns.svc.clusterset.local.", dns.TypeSRV},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := new(dns.Msg).SetQuestion(c.question, c.qtype)
			r.SetEdns0(1232, false)
			ctx, w := b.Context(), &discard{}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.ServeDNS(ctx, w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSliceUpdate is one changed slice of 100 endpoints among 100,000.
func BenchmarkSliceUpdate(b *testing.B) {
	f := newFixture(b, testZone)
	for s := range 1000 {
		name := fmt.Sprintf("svc%d", s)
		f.apply("\nkind: ServiceImport\nmetadata: {name: " + name + ", namespace: ns}\nspec: {type: Headless, ports: []}")
		f.apply(bigSlice(name, name, "a", 100, s%250))
	}
	one := fromWire(b, bigSlice("svc7", "svc7", "a", 100, 251)).(*discoveryv1.EndpointSlice)
	other := fromWire(b, bigSlice("svc7", "svc7", "a", 99, 252)).(*discoveryv1.EndpointSlice)
	b.ReportAllocs()
	for b.Loop() {
		f.slices.set(one)
		one, other = other, one
	}
}

// BenchmarkChangedName is one changed slice of 100 endpoints with three ports, of three of a service, and the first question for an
// endpoint of it: what a change costs before its answer is seen.
func BenchmarkChangedName(b *testing.B) {
	f := newFixture(b, testZone)
	f.apply(bigSlices(3, 100, 3))
	manifest := strings.SplitN(bigSlices(1, 100, 3), "\n---\n", 2)[1]
	one := fromWire(b, manifest).(*discoveryv1.EndpointSlice)
	other := fromWire(b, strings.Replace(manifest, "10.1.0.1]", "10.9.0.1]", 1)).(*discoveryv1.EndpointSlice)
	r := new(dns.Msg).SetQuestion("10-1-0-7.cluster-0."+big, dns.TypeA)
	ctx, w := b.Context(), &discard{}
	b.ReportAllocs()
	for b.Loop() {
		f.slices.set(one)
		one, other = other, one
		if _, err := f.ServeDNS(ctx, w, r); err != nil {
			b.Fatal(err)
		}
	}
}
