package multicluster

import (
	"testing"

	"github.com/miekg/dns"
)

const dbImport = `
kind: ServiceImport
metadata: {name: db, namespace: shop}
spec: {type: Headless, ips: [], ports: [{name: pg, port: 5432}, {name: gone, port: 1}]}`

const dbSlices = `
metadata: {name: db-east, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}, {name: stats, port: 9187, protocol: TCP}, {port: 7}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-1}
- {addresses: [10.1.0.3], hostname: db-2, conditions: {ready: false}}
---
metadata: {name: db-east6, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv6
ports: [{name: pg, port: 5432, protocol: TCP}, {name: stats, port: 9187, protocol: TCP}]
endpoints: [{addresses: ["fd00:1::1"], hostname: db-0}]
---
metadata: {name: db-west, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: West.EU}}
addressType: IPv4
ports: [{name: pg, port: 6432, protocol: TCP}]
endpoints:
- {addresses: [10.2.0.1], hostname: db-0}
- {addresses: [10.2.0.9, 10.2.0.10]}`

func TestHeadless_D3(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbImport + "\n---\n" + dbSlices)
	const (
		db   = "db.shop.svc.clusterset.local."
		east = "east." + db
		west = "west.eu." + db

		eastA = "db-0." + east + " A 10.1.0.1\ndb-0." + east + " AAAA fd00:1::1\ndb-1." + east + " A 10.1.0.2\n"
		westA = "db-0." + west + " A 10.2.0.1\n10-2-0-9." + west + " A 10.2.0.9\n10-2-0-10." + west + " A 10.2.0.10\n"
	)
	f.run([]ask{
		// All ready endpoints of all clusters; nil means ready.
		{name: db, qtype: dns.TypeA, answer: "@ A 10.1.0.1\n@ A 10.1.0.2\n@ A 10.2.0.1\n@ A 10.2.0.9\n@ A 10.2.0.10"},
		{name: db, qtype: dns.TypeAAAA, answer: "@ AAAA fd00:1::1"},
		// Endpoints by name, in one cluster only; each address of an endpoint without a hostname has a name.
		{name: "db-0." + east, qtype: dns.TypeA, answer: "@ A 10.1.0.1"},
		{name: "db-0." + east, qtype: dns.TypeAAAA, answer: "@ AAAA fd00:1::1"},
		{name: "db-1." + east, qtype: dns.TypeAAAA},
		{name: "db-0." + west, qtype: dns.TypeA, answer: "@ A 10.2.0.1"},
		{name: "10-2-0-9." + west, qtype: dns.TypeA, answer: "@ A 10.2.0.9"},
		{name: "10-2-0-10." + west, qtype: dns.TypeA, answer: "@ A 10.2.0.10"},
		{name: "db-0." + east, qtype: dns.TypeSRV},
		{name: "db-2." + east, qtype: dns.TypeA, absent: true}, // not ready
		{name: "10-1-0-1." + east, qtype: dns.TypeA, absent: true},
		{name: "db-1." + west, qtype: dns.TypeA, absent: true},
		// SRV: the number that each cluster's slice holds, and the addresses of the targets.
		{name: "_pg._tcp." + db, qtype: dns.TypeSRV, extra: eastA + westA,
			answer: "@ SRV 0 20 5432 db-0." + east + "\n@ SRV 0 20 5432 db-1." + east + "\n@ SRV 0 20 6432 db-0." + west +
				"\n@ SRV 0 20 6432 10-2-0-9." + west + "\n@ SRV 0 20 6432 10-2-0-10." + west},
		{name: "_stats._tcp." + db, qtype: dns.TypeSRV, extra: eastA,
			answer: "@ SRV 0 50 9187 db-0." + east + "\n@ SRV 0 50 9187 db-1." + east},
		{name: db, qtype: dns.TypeSRV, extra: eastA + westA,
			answer: "@ SRV 0 14 5432 db-0." + east + "\n@ SRV 0 14 5432 db-1." + east + "\n@ SRV 0 14 6432 db-0." + west +
				"\n@ SRV 0 14 6432 10-2-0-9." + west + "\n@ SRV 0 14 6432 10-2-0-10." + west +
				"\n@ SRV 0 14 9187 db-0." + east + "\n@ SRV 0 14 9187 db-1." + east},
		{name: "_gone._tcp." + db, qtype: dns.TypeSRV, absent: true}, // no slice has it
		{name: "_pg._tcp." + db, qtype: dns.TypeA},
		{name: "_tcp." + db, qtype: dns.TypeSRV},
		{name: "_udp." + db, qtype: dns.TypeSRV, absent: true},
		// A cluster's endpoints have no name as a set (D4), but each label of its id exists (D5).
		{name: east, qtype: dns.TypeA},
		{name: east, qtype: dns.TypeSRV},
		{name: west, qtype: dns.TypeA},
		{name: "eu." + db, qtype: dns.TypeA},
		{name: "west." + db, qtype: dns.TypeA, absent: true},
		{name: "_pg._tcp." + east, qtype: dns.TypeSRV, absent: true},
	})
}

// TestNoneReady_D3: a headless service without a ready endpoint does not exist, nor does anything below it.
func TestNoneReady_D3(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbImport)
	absent := []ask{
		{name: "db.shop.svc.clusterset.local.", qtype: dns.TypeA, absent: true},
		{name: "db.shop.svc.clusterset.local.", qtype: dns.TypeSRV, absent: true},
		{name: "_pg._tcp.db.shop.svc.clusterset.local.", qtype: dns.TypeSRV, absent: true},
		{name: "_tcp.db.shop.svc.clusterset.local.", qtype: dns.TypeSRV, absent: true},
		{name: "east.db.shop.svc.clusterset.local.", qtype: dns.TypeA, absent: true},
		{name: "shop.svc.clusterset.local.", qtype: dns.TypeA}, // the namespace holds an import (D5)
	}
	f.run(absent)
	const slice = `
metadata: {name: s, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints: [{addresses: [10.1.0.1], conditions: {ready: `
	f.apply(slice + "false}}]")
	f.run(absent)
	f.apply(slice + "true}}]")
	f.run([]ask{{name: "db.shop.svc.clusterset.local.", qtype: dns.TypeA, answer: "@ A 10.1.0.1"}})
	f.apply(slice + "false}}]")
	f.run(absent)
}

// TestHostnames_D3: names made from addresses.
func TestHostnames_D3(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbImport)
	f.apply(`
metadata: {name: s, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv6
endpoints: [{addresses: ["FD00:0:0::1"]}, {addresses: ["::1:2"]}, {addresses: ["fd00::"]}]`)
	f.run([]ask{
		{name: "fd00--1.east.db.shop.svc.clusterset.local.", qtype: dns.TypeAAAA, answer: "@ AAAA fd00::1"},
		{name: "0--1-2.east.db.shop.svc.clusterset.local.", qtype: dns.TypeAAAA, answer: "@ AAAA ::1:2"},
		{name: "fd00--0.east.db.shop.svc.clusterset.local.", qtype: dns.TypeAAAA, answer: "@ AAAA fd00::"},
	})
}

// TestOneHostname_D3: several endpoints under one hostname all answer, each address once.
func TestOneHostname_D3(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbImport)
	for _, name := range []string{"s1", "s2"} { // the second one holds the same endpoints
		f.apply(`
metadata: {name: ` + name + `, namespace: shop, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
ports: [{name: pg, port: 5432}, {name: sql, port: 5432}]
endpoints: [{addresses: [10.1.0.1], hostname: Primary}, {addresses: [10.1.0.2], hostname: primary}]`)
	}
	const db, primary = "db.shop.svc.clusterset.local.", "primary.east.db.shop.svc.clusterset.local."
	f.run([]ask{
		{name: primary, qtype: dns.TypeA, answer: "@ A 10.1.0.1\n@ A 10.1.0.2"},
		{name: db, qtype: dns.TypeA, answer: "@ A 10.1.0.1\n@ A 10.1.0.2"},
		{name: db, qtype: dns.TypeSRV, answer: "@ SRV 0 100 5432 " + primary,
			extra: primary + " A 10.1.0.1\n" + primary + " A 10.1.0.2"},
	})
}
