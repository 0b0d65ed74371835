package multicluster

import (
	"testing"

	"github.com/miekg/dns"
)

const webImport = `
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec:
  type: ClusterSetIP
  ips: [10.96.0.1, "fd00:96::1"]
  ports:
  - {name: http, port: 80, protocol: TCP}
  - {name: alt, port: 80, protocol: UDP}
  - {name: HTTPS, port: 443}
  - {port: 9, protocol: TCP}`

func TestClusterSetIP_D2(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport)
	const web = "web.shop.svc.clusterset.local."
	const addresses = web + " A 10.96.0.1\n" + web + " AAAA fd00:96::1"
	f.run([]ask{
		{name: web, qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: web, qtype: dns.TypeAAAA, answer: "@ AAAA fd00:96::1"},
		{name: "_http._tcp." + web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: addresses},
		{name: "_alt._udp." + web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: addresses},
		// An empty protocol is TCP; names are in lower case.
		{name: "_https._tcp." + web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 443 " + web, extra: addresses},
		// One record for each target and port number, of the named ports.
		{name: web, qtype: dns.TypeSRV, answer: "@ SRV 0 50 80 " + web + "\n@ SRV 0 50 443 " + web, extra: addresses},
		// Only SRV exists at the name of a port; a protocol is an empty non-terminal.
		{name: "_http._tcp." + web, qtype: dns.TypeA},
		{name: "_tcp." + web, qtype: dns.TypeSRV},
		{name: "_udp." + web, qtype: dns.TypeA},
		// The name exists with other types.
		{name: web, qtype: dns.TypeTXT},
		{name: web, qtype: dns.TypeMX},
		{name: web, qtype: dns.TypeHTTPS},
		{name: web, qtype: dns.TypeNS},
		{name: web, qtype: dns.TypeSOA},
		{name: web, qtype: dns.TypeCNAME},
		// Nothing else exists below a ClusterSetIP name.
		{name: "_sctp." + web, qtype: dns.TypeSRV, absent: true},
		{name: "_http._udp." + web, qtype: dns.TypeSRV, absent: true},
		{name: "http._tcp." + web, qtype: dns.TypeSRV, absent: true},
		{name: "_http.tcp." + web, qtype: dns.TypeSRV, absent: true},
		{name: "x._http._tcp." + web, qtype: dns.TypeSRV, absent: true},
		{name: "east." + web, qtype: dns.TypeA, absent: true},
		{name: "web-0.east." + web, qtype: dns.TypeA, absent: true},
		{name: "*." + web, qtype: dns.TypeA, absent: true},
	})
}

// TestEndpointsOfClusterSetIP_D2: slices of a ClusterSetIP service have no records.
func TestEndpointsOfClusterSetIP_D2(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport)
	f.apply(`
metadata: {name: s, namespace: shop, labels: {multicluster.kubernetes.io/service-name: web, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
ports: [{name: metrics, port: 9090}]
endpoints: [{addresses: [10.1.0.1], hostname: web-0}]`)
	f.run([]ask{
		{name: "web.shop.svc.clusterset.local.", qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: "_metrics._tcp.web.shop.svc.clusterset.local.", qtype: dns.TypeSRV, absent: true},
		{name: "web-0.east.web.shop.svc.clusterset.local.", qtype: dns.TypeA, absent: true},
		{name: "east.web.shop.svc.clusterset.local.", qtype: dns.TypeA, absent: true},
	})
}

func TestWithoutAddress_D2(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(`
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec: {type: ClusterSetIP, ports: [{name: http, port: 80}]}
---
kind: ServiceImport
metadata: {name: bare, namespace: shop}
spec: {type: ClusterSetIP, ports: [], ips: [10.96.0.2]}`)
	f.run([]ask{
		{name: "web.shop.svc.clusterset.local.", qtype: dns.TypeA},
		{name: "web.shop.svc.clusterset.local.", qtype: dns.TypeSRV},
		{name: "_http._tcp.web.shop.svc.clusterset.local.", qtype: dns.TypeSRV},
		{name: "_tcp.web.shop.svc.clusterset.local.", qtype: dns.TypeSRV},
		// An import needs no ports to have an address.
		{name: "bare.shop.svc.clusterset.local.", qtype: dns.TypeA, answer: "@ A 10.96.0.2"},
		{name: "bare.shop.svc.clusterset.local.", qtype: dns.TypeSRV},
		{name: "_tcp.bare.shop.svc.clusterset.local.", qtype: dns.TypeSRV, absent: true},
	})
}

// TestNoDuplicates_D5: equal addresses and ports are one record.
func TestNoDuplicates_D5(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(`
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec:
  type: ClusterSetIP
  ips: [10.96.0.1, 10.96.0.1, "::ffff:10.96.0.1"]
  ports: [{name: http, port: 80}, {name: http, port: 80, protocol: TCP}, {name: web, port: 80}]`)
	const web = "web.shop.svc.clusterset.local."
	f.run([]ask{
		{name: web, qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: web + " A 10.96.0.1"},
		{name: "_http._tcp." + web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: web + " A 10.96.0.1"},
	})
}
