package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const odd = `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: odd, namespace: NS}
spec: {type: Headless, ports: []}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: no.label, namespace: NS}
spec: {type: ClusterSetIP, ports: [], ips: [10.96.1.9]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: pending, namespace: NS}
spec: {type: ClusterSetIP, ports: [{name: http, port: 80}]}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: bare, namespace: NS}
spec: {type: ClusterSetIP, ports: [], ips: [10.96.1.8, "fd00::8"]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: odd-unknown, namespace: NS, labels: {multicluster.kubernetes.io/service-name: odd}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.2.0.1], hostname: odd-0}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: odd-dotted, namespace: NS, labels: {multicluster.kubernetes.io/service-name: odd, multicluster.kubernetes.io/source-cluster: eu.west}}
addressType: IPv4
ports: [{name: http, port: 81}, {name: numberless}, {port: 82}]
endpoints: [{addresses: [10.2.0.2], conditions: {ready: true}}, {addresses: [10.2.0.9], conditions: {ready: false}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: odd-v6, namespace: NS, labels: {multicluster.kubernetes.io/service-name: odd, multicluster.kubernetes.io/source-cluster: south}}
addressType: IPv6
ports: [{name: dns, port: 53, protocol: UDP}]
endpoints: [{addresses: ["fd00::"]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: odd-names, namespace: NS, labels: {multicluster.kubernetes.io/service-name: odd, multicluster.kubernetes.io/source-cluster: north}}
addressType: FQDN
ports: []
endpoints: [{addresses: [backend.example.com]}]`

// row is a line of the specification: what a name in the zone has of a type. Records are "TTL TYPE DATA"; "NXDOMAIN" stands for
// a name that does not exist, and nothing for one that has no such records.
type row struct {
	line, name, qtype, answer string
}

var rows = []row{
	{"D1", "dns-version", "TXT", `28800 TXT "1.0.0"`},
	{"D1", "dns-version", "A", ""},
	{"D2", "web.NS.svc", "A", "5 A 10.96.1.1"},
	{"D2", "web.NS.svc", "AAAA", ""},
	{"D2", "web.NS.svc", "SRV", "5 SRV 0 100 80 web.NS.svc"},
	{"D2", "_http._tcp.web.NS.svc", "SRV", "5 SRV 0 100 80 web.NS.svc"},
	{"D2", "_http._udp.web.NS.svc", "SRV", "NXDOMAIN"},
	{"D2", "bare.NS.svc", "A", "5 A 10.96.1.8"},
	{"D2", "bare.NS.svc", "AAAA", "5 AAAA fd00::8"},
	{"D2", "bare.NS.svc", "SRV", ""},
	{"D2", "pending.NS.svc", "A", ""},
	{"D2", "10-1-0-1.east.web.NS.svc", "A", "NXDOMAIN"},
	{"D3", "db.NS.svc", "A", "5 A 10.1.0.1|5 A 10.1.0.2"},
	{"D3", "db.NS.svc", "AAAA", ""},
	{"D3", "db-0.east.db.NS.svc", "A", "5 A 10.1.0.1"},
	{"D3", "db-0.east.db.NS.svc", "SRV", ""},
	{"D3", "10-1-0-1.east.db.NS.svc", "A", "NXDOMAIN"},
	{"D3", "_pg._tcp.db.NS.svc", "SRV", "5 SRV 0 50 5432 db-0.east.db.NS.svc|5 SRV 0 50 5432 db-1.east.db.NS.svc"},
	{"D3", "odd.NS.svc", "AAAA", "5 AAAA fd00::"},
	{"D3", "fd00--0.south.odd.NS.svc", "AAAA", "5 AAAA fd00::"},
	{"D3", "_dns._udp.odd.NS.svc", "SRV", "5 SRV 0 100 53 fd00--0.south.odd.NS.svc"},
	{"D4", "east.db.NS.svc", "A", ""},
	{"D4", "east.db.NS.svc", "SRV", ""},
	{"D4", "east.web.NS.svc", "A", "NXDOMAIN"},
	{"D5", "svc", "A", ""},
	{"D5", "NS.svc", "A", ""},
	{"D5", "nobody.svc", "A", "NXDOMAIN"},
	{"D5", "_tcp.web.NS.svc", "A", ""},
	{"D5", "_udp.web.NS.svc", "A", "NXDOMAIN"},
	{"D5", "_tcp.db.NS.svc", "SRV", ""},
	{"D5", "_http._tcp.web.NS.svc", "A", ""},
	{"D5", "west.odd.NS.svc", "A", ""},
	{"D5", "eu.west.odd.NS.svc", "A", ""},
	{"D5", "eu.odd.NS.svc", "A", "NXDOMAIN"},
	{"D5", "http._tcp.web.NS.svc", "SRV", "NXDOMAIN"},
	{"D5", "_http.tcp.web.NS.svc", "SRV", "NXDOMAIN"},
	{"D5", "_http.web.NS.svc", "SRV", "NXDOMAIN"},
	{"D5", "*.NS.svc", "A", "NXDOMAIN"},
	{"D5", "*.db.NS.svc", "A", "NXDOMAIN"},
	{"D5", "pod", "A", "NXDOMAIN"},
	{"D5", "10-1-0-1.NS.pod", "A", "NXDOMAIN"},
	{"D5", "web.NS", "A", "NXDOMAIN"},
	{"D5", "", "NS", "5 NS ns.dns"},
	{"D5", "", "A", ""},
	{"D5", "ns.dns", "A", "5 A 127.0.0.1"},
	{"D5", "dns", "A", ""},
	{"D11", "odd.NS.svc", "A", "5 A 10.2.0.1|5 A 10.2.0.2"},
	{"D11", "odd-0.odd.NS.svc", "A", "NXDOMAIN"},
	{"D11", "10-2-0-2.eu.west.odd.NS.svc", "A", "5 A 10.2.0.2"},
	{"D11", "10-2-0-9.eu.west.odd.NS.svc", "A", "NXDOMAIN"},
	{"D11", "_http._tcp.odd.NS.svc", "SRV", "5 SRV 0 100 81 10-2-0-2.eu.west.odd.NS.svc"},
	{"D11", "_numberless._tcp.odd.NS.svc", "SRV", "NXDOMAIN"},
	{"D11", "north.odd.NS.svc", "A", "NXDOMAIN"},
	{"D11", "no.label.NS.svc", "A", "NXDOMAIN"},
	{"D11", `no\.label.NS.svc`, "A", "NXDOMAIN"},
}

// TestEveryLine asks the real server, over UDP and TCP and in either case of letters, for what each line of the specification
// says about names (SPEC D1 to D6, D11), of objects that a real API server accepts.
func TestEveryLine(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web+"\n---"+db+"\n---"+dbEast+"\n---"+odd)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	for _, r := range rows {
		w := r.want(ns, "clusterset.local.")
		s.answers(w) // until what was applied has arrived
		for _, network := range []string{"udp", "tcp"} {
			name := strings.ToUpper(w.name)
			reply, err := s.exchange(network, new(dns.Msg).SetQuestion(name, w.qtype))
			if err != nil {
				t.Fatalf("%s: %s over %s: %v", r.line, w.name, network, err)
			}
			upper := w
			upper.answer = nil
			for _, rr := range w.answer {
				upper.answer = append(upper.answer, name+strings.TrimPrefix(rr, w.name))
			}
			if err := upper.check(reply); err != nil || reply.Question[0].Name != name || !reply.Authoritative {
				t.Errorf("%s: %s %s over %s: %v in %v", r.line, name, r.qtype, network, err, reply)
			}
		}
	}
}

// want is the row for a namespace and a zone.
func (r row) want(ns, zone string) want {
	fill := strings.NewReplacer("NS.", ns+".", "NS", ns)
	w := want{name: zone, qtype: dns.StringToType[r.qtype]}
	if r.name != "" {
		w.name = fill.Replace(r.name) + "." + zone
	}
	switch {
	case r.answer == "NXDOMAIN":
		w.rcode = dns.RcodeNameError
	case r.answer != "":
		for _, data := range strings.Split(r.answer, "|") {
			fields := strings.SplitN(data, " ", 3)
			value := fields[2]
			if fields[1] == "SRV" || fields[1] == "NS" { // their data ends with a name of the zone
				value = fill.Replace(value) + "." + zone
			}
			w.answer = append(w.answer, fmt.Sprintf("%s %s IN %s %s", w.name, fields[0], fields[1], value))
		}
	}
	return w
}

// TestBehindOthers_D9: the plugins that a cluster's CoreDNS has in front of this one, in the real server: they see its
// metadata, and hand on what it says.
func TestBehindOthers_D9(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web+"\n---"+db+"\n---"+dbEast)
	s := serve(t, fmt.Sprintf(`.:{port} {
    bind 127.0.0.1
    metadata
    log . "asked {name} of {/multicluster/type}: {/multicluster/service} {/multicluster/namespace} {/multicluster/cluster} {/multicluster/endpoint}"
    loadbalance
    cache 30 {
        disable denial
    }
    rewrite name suffix .alias.example. .clusterset.local. answer auto
    multicluster clusterset.local {
        kubeconfig %s
    }
}`, c.Kubeconfig()))
	for _, zone := range []string{"clusterset.local.", "alias.example."} {
		for _, r := range rows[2:5] {
			w := r.want(ns, zone)
			s.answers(w)
			s.answers(w) // from the cache
		}
	}
	s.answers(row{"D3", "db.NS.svc", "A", "5 A 10.1.0.1|5 A 10.1.0.2"}.want(ns, "clusterset.local."))
	s.answers(row{"D3", "db-1.east.db.NS.svc", "A", "5 A 10.1.0.2"}.want(ns, "clusterset.local."))
	for _, line := range []string{
		"asked web." + ns + ".svc.clusterset.local. of ClusterSetIP: web " + ns + "  \n",
		"asked db-1.east.db." + ns + ".svc.clusterset.local. of Headless: db " + ns + " east db-1",
	} {
		s.await("the log says "+line, func() error {
			if !strings.Contains(s.log.String(), line) {
				return fmt.Errorf("it does not")
			}
			return nil
		})
	}
}
