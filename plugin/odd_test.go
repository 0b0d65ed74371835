package multicluster

import (
	"bytes"
	"strings"
	"testing"

	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
)

// TestOddSlices_D11: what is odd about a slice costs only that.
func TestOddSlices_D11(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(dbImport)
	const db = "db.shop.svc.clusterset.local."
	slice := func(name, labels, rest string) string {
		return "metadata: {name: " + name + ", namespace: shop, labels: {multicluster.kubernetes.io/service-name: db" + labels + "}}\n" + rest
	}
	f.apply(slice("unlabelled", "", `
addressType: IPv4
ports: [{name: pg, port: 5432}]
endpoints: [{addresses: [10.1.0.1], hostname: db-0}]`))
	f.run([]ask{
		{name: db, qtype: dns.TypeA, answer: "@ A 10.1.0.1"},
		{name: db, qtype: dns.TypeSRV},
		{name: "_pg._tcp." + db, qtype: dns.TypeSRV, absent: true},
		{name: "db-0." + db, qtype: dns.TypeA, absent: true},
	})
	f.apply(slice("gap", ", multicluster.kubernetes.io/source-cluster: a..b", `
addressType: IPv4
endpoints: [{addresses: [10.1.0.2]}]`))
	f.apply(slice("fqdn", ", multicluster.kubernetes.io/source-cluster: east", `
addressType: FQDN
endpoints: [{addresses: [db.example.org]}]`))
	f.apply(slice("odd", ", multicluster.kubernetes.io/source-cluster: east", `
addressType: IPv4
ports: [{name: all}, {name: "a.b", port: 1}, {name: zero, port: 0}, {name: huge, port: 70000}, {name: udp, port: 53, protocol: UDP},
  {name: oddproto, port: 1, protocol: "a b"}, {name: `+strings.Repeat("p", 63)+`, port: 1}]
endpoints:
- {addresses: [10.1.0.300, "fd00::1", "010.1.0.1", "", "10.1.0.3"]}
- {addresses: [10.1.0.4], hostname: "no.label"}
- {addresses: [10.1.0.5], hostname: ""}`))
	const east = "east." + db
	const udp = "10-1-0-3." + east + " A 10.1.0.3\n10-1-0-4." + east + " A 10.1.0.4\n10-1-0-5." + east + " A 10.1.0.5"
	const srv = "@ SRV 0 33 53 10-1-0-3." + east + "\n@ SRV 0 33 53 10-1-0-4." + east + "\n@ SRV 0 33 53 10-1-0-5." + east
	f.run([]ask{
		{name: db, qtype: dns.TypeA, answer: "@ A 10.1.0.1\n@ A 10.1.0.2\n@ A 10.1.0.3\n@ A 10.1.0.4\n@ A 10.1.0.5"},
		{name: db, qtype: dns.TypeAAAA},
		{name: db, qtype: dns.TypeSRV, answer: srv, extra: udp},
		{name: "_udp._udp." + db, qtype: dns.TypeSRV, answer: srv, extra: udp},
		{name: "_all._tcp." + db, qtype: dns.TypeSRV, absent: true},
		{name: "b." + db, qtype: dns.TypeA, absent: true},
	})
}

// TestOddImports_D11: what is odd about an import costs only that.
func TestOddImports_D11(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(`
kind: ServiceImport
metadata: {name: a.b, namespace: shop}
spec: {type: ClusterSetIP, ips: [10.96.0.1], ports: []}`)
	f.run([]ask{
		{name: "a.b.shop.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "b.shop.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "shop.svc." + testZone, qtype: dns.TypeA, absent: true},
	})
	f.apply(`
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec:
  type: ClusterSetIP
  ips: [nonsense, "fe80::1%eth0", "", 10.96.0.2]
  ports: [{name: "a.b", port: 1}, {name: "x_y", port: 2}, {name: http, port: 80}, {name: none}, {name: huge, port: 65536}]`)
	const web = "web.shop.svc.clusterset.local."
	f.run([]ask{
		{name: web, qtype: dns.TypeA, answer: "@ A 10.96.0.2"},
		{name: web, qtype: dns.TypeAAAA},
		{name: web, qtype: dns.TypeSRV, answer: "@ SRV 0 100 80 " + web, extra: web + " A 10.96.0.2"},
	})
}

// TestMalformedNames_D11: what has a name or namespace that no object can have is no key of anything, alone is left out, and is
// logged once for each kind. A dot in a namespace would make the key of another service.
func TestMalformedNames_D11(t *testing.T) {
	var out bytes.Buffer
	clog.SetOutput(&out)
	t.Cleanup(clog.Discard)
	f := newFixture(t, testZone)
	f.apply(webImport)
	f.apply(dbImport)
	object := func(namespace, name string) (manifest string) {
		meta := "metadata: {name: '" + name + "', namespace: '" + namespace + "', labels: {multicluster.kubernetes.io/service-name: db}}\n"
		return "kind: ServiceImport\n" + meta + "spec: {type: ClusterSetIP, ips: [10.96.0.66], ports: []}\n---\n" +
			meta + "addressType: IPv4\nports: []\nendpoints: [{addresses: [10.1.0.66]}]"
	}
	for _, key := range [][2]string{{"", ""}, {"", "web"}, {"shop", ""}, {"shop.x", "web"}, {"Shop", "web"}, {"shop", "a/b"}, {"shop/web", "x"}} {
		f.apply(object(key[0], key[1]))
	}
	f.remove(object("", "web.shop"))
	f.run([]ask{
		{name: "web.shop.svc." + testZone, qtype: dns.TypeA, answer: "@ A 10.96.0.1"},
		{name: "web.shop.x.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "x.svc." + testZone, qtype: dns.TypeA, absent: true},
		{name: "db.shop.svc." + testZone, qtype: dns.TypeA, absent: true}, // no ready endpoint
	})
	if c := f.imports.view.Counts(); c.ClusterSetIP != 1 || c.Headless != 1 || c.Endpoints != 0 || f.imports.view.HasNamespace("") {
		t.Errorf("the view holds %+v", c)
	}
	if text := out.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "no object can have") != 2 {
		t.Errorf("logged %q", text)
	}
}

// TestTooLong_D11: a name that would pass 255 octets is left out everywhere, and costs only itself.
func TestTooLong_D11(t *testing.T) {
	label := strings.Repeat("l", 63)
	f := newFixture(t, testZone)
	f.apply(strings.NewReplacer("db", label, "shop", label).Replace(dbImport))
	f.apply(`
metadata: {name: s, namespace: ` + label + `, labels: {multicluster.kubernetes.io/service-name: ` + label + `, multicluster.kubernetes.io/source-cluster: ` + label + `}}
addressType: IPv4
ports: [{name: pg, port: 5432}, {name: ` + label[1:] + `, port: 5433}]
endpoints: [{addresses: [10.1.0.1], hostname: short}, {addresses: [10.1.0.2], hostname: ` + label + `}]`)
	service := label + "." + label + ".svc.clusterset.local."
	const longest = 254 // in text
	target := "short." + label + "." + service
	port := "_" + label[1:] + "._tcp." + service
	if len(port) > longest || len(target) > longest || len(label+"."+label+"."+service) <= longest {
		t.Fatal("the names are not as long as they have to be here")
	}
	srv := "@ SRV 0 100 5432 " + target
	f.run([]ask{
		{name: service, qtype: dns.TypeA, answer: "@ A 10.1.0.1\n@ A 10.1.0.2"},
		{name: target, qtype: dns.TypeA, answer: "@ A 10.1.0.1"},
		{name: "_pg._tcp." + service, qtype: dns.TypeSRV, answer: srv, extra: target + " A 10.1.0.1"},
		{name: port, qtype: dns.TypeSRV, answer: strings.Replace(srv, "5432", "5433", 1), extra: target + " A 10.1.0.1"},
		{name: label + "." + service, qtype: dns.TypeA},
	})
	for _, record := range transferred(t, f, testZone) {
		if rr, err := dns.NewRR(record); err != nil || len(rr.Header().Name) > longest {
			t.Errorf("transferred: %s", record)
		}
	}
}

// TestToldOnce_D11: what is odd is logged once, and again only when it changes.
func TestToldOnce_D11(t *testing.T) {
	var out bytes.Buffer
	clog.SetOutput(&out)
	t.Cleanup(clog.Discard)
	f := newFixture(t, testZone)
	odd := strings.Replace(webImport, "10.96.0.1", "nonsense", 1)
	for range 3 {
		f.apply(odd)
	}
	f.apply(strings.Replace(webImport, "10.96.0.1", "rubbish", 1))
	f.apply(webImport)
	f.apply(odd)
	want := []string{
		`ServiceImport shop/web: spec.ips: "nonsense" is not an IP address`,
		`ServiceImport shop/web: spec.ips: "rubbish" is not an IP address`,
		`ServiceImport shop/web: spec.ips: "nonsense" is not an IP address`,
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("logged %q", lines)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("line %d is %q, not %q", i, line, want[i])
		}
	}
	f.remove(webImport)
	if len(f.imports.told) != 0 {
		t.Errorf("remembered after the object is gone: %v", f.imports.told)
	}
}

// TestTooLongIsTold_D11: so is that a name is left out for its length.
func TestTooLongIsTold_D11(t *testing.T) {
	var out bytes.Buffer
	clog.SetOutput(&out)
	t.Cleanup(clog.Discard)
	f := newFixture(t, strings.Repeat("a.", 115))
	for range 2 {
		f.apply(webImport)
		f.apply("metadata: {name: web-1, namespace: shop, labels: {multicluster.kubernetes.io/service-name: web, " +
			"multicluster.kubernetes.io/source-cluster: east}}\naddressType: IPv4\nports: []\nendpoints: [{addresses: [10.1.0.1]}]")
	}
	if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "EndpointSlice shop/web-1: the names of endpoints have more than 255 octets") {
		t.Errorf("logged %q", text)
	}
}
