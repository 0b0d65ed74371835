package dns

import (
	octets "encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// Of each dimension as much as one slice may have, or more than one answer can carry.
const (
	productPorts     = 1001
	productEndpoints = 1000 // of each cluster and family
	productClusters  = 2
	productTargets   = productEndpoints * productClusters * 2
	productAddresses = 20 // of each endpoint of the slice that has one hostname for all
)

// TestProduct_X7 asks the real server everything about services whose ports, endpoints, families, clusters and addresses multiply: it
// stays within the memory that its manifest gives it, answers everybody, and its serial stays.
func TestProduct_X7(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, strings.Replace(db, "name: db", "name: big", 1)+"\n---"+strings.Replace(db, "name: db", "name: one", 1)+"\n---"+manyPorts(web))
	writeProduct(t, c, ns)
	limit := shippedLimit(t)
	t.Setenv("GOMEMLIMIT", fmt.Sprintf("%dMiB", limit)) // as the manifest does
	s := serve(t, fmt.Sprintf(strings.Replace(corefile, ".:{port} {", ".:{port} {\n    transfer clusterset.local {\n        to *\n    }", 1), c.Kubeconfig()))
	big, one := "big."+ns+".svc.clusterset.local.", "one."+ns+".svc.clusterset.local."
	s.await("all endpoints", func() error {
		if n, want := transfer(t, s), wantTransferred(); n != want {
			return fmt.Errorf("%d records transferred, not %d", n, want)
		}
		return nil
	})
	idle, _ := s.memory()
	before := s.serial()
	var names []string
	for p := range productPorts {
		names = append(names, fmt.Sprintf("_p%d._tcp.%s", p, big), fmt.Sprintf("_p%d._tcp.web.%s.svc.clusterset.local.", p, ns))
	}
	for e := range productEndpoints {
		names = append(names, fmt.Sprintf("10-0-%d-%d.c0.%s", e/250, e%250+1, big), fmt.Sprintf("fd00--2-%x.c1.%s", e+1, big))
	}
	names = append(names, big, strings.ToUpper(big), one, "host.c0."+one, "_tcp."+big, "c0."+big, "web."+ns+".svc.clusterset.local.")
	var askers errgroup.Group
	others := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeANY, dns.TypeTXT}
	const clients = 2
	for i := range clients {
		askers.Go(func() error {
			for j := range names {
				if err := s.everything(names[(j+i*len(names)/clients)%len(names)], others[j%len(others)]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	n := transfer(t, s)
	if err := askers.Wait(); err != nil {
		t.Fatal(err)
	}
	if n != wantTransferred() {
		t.Errorf("%d records transferred, not %d", n, wantTransferred())
	}
	if after := s.serial(); after != before {
		t.Errorf("the serial moved on from %d to %d", before, after)
	}
	_, peak := s.memory()
	t.Logf("%d MiB after the first transfer, %d MiB at most; the limit is %d MiB", idle, peak, limit)
	if peak >= limit {
		t.Errorf("%d MiB at most: the manifest allows %d", peak, limit)
	}
}

// everything asks for SRV of a name, over UDP and TCP, and for something else.
func (s *server) everything(name string, other uint16) error {
	udp, tcp := &dns.Client{Timeout: patience, UDPSize: dns.MaxMsgSize}, &dns.Client{Net: "tcp", Timeout: patience}
	for _, q := range []struct {
		client *dns.Client
		qtype  uint16
		size   uint16
	}{{udp, dns.TypeSRV, 0}, {udp, dns.TypeSRV, 1232}, {udp, dns.TypeSRV, 65000}, {tcp, dns.TypeSRV, 0}, {udp, other, 1232}, {tcp, other, 0}} {
		m := new(dns.Msg).SetQuestion(name, q.qtype)
		if q.size > 0 {
			m.SetEdns0(q.size, false)
		}
		if reply, _, err := q.client.Exchange(m, s.addr); err != nil || reply.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("%s %s: %v %v", name, dns.TypeToString[q.qtype], reply, err)
		}
	}
	return nil
}

// writeProduct writes the slices of big, and one of one whose endpoints share a hostname.
func writeProduct(t *testing.T, c *controlplane.Cluster, ns string) {
	t.Helper()
	cfg := c.Config()
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	create := func(service, cluster string, family discoveryv1.AddressType, endpoints []discoveryv1.Endpoint) {
		es := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{GenerateName: service + "-", Labels: map[string]string{
				mcsapi.LabelServiceName: service, mcsapi.LabelSourceCluster: cluster,
			}},
			AddressType: family, Endpoints: endpoints,
		}
		for p := range productPorts {
			es.Ports = append(es.Ports, discoveryv1.EndpointPort{Name: ptr.To(fmt.Sprintf("p%d", p)), Port: ptr.To(int32(p + 1))})
		}
		if _, err := client.DiscoveryV1().EndpointSlices(ns).Create(t.Context(), es, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for cluster := range productClusters {
		var four, six []discoveryv1.Endpoint
		for e := range productEndpoints {
			four = append(four, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", cluster, e/250, e%250+1)}})
			six = append(six, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("fd00::%x:%x", cluster+1, e+1)}})
		}
		id := fmt.Sprintf("c%d", cluster)
		create("big", id, discoveryv1.AddressTypeIPv4, four)
		create("big", id, discoveryv1.AddressTypeIPv6, six)
	}
	var shared []discoveryv1.Endpoint
	for e := range productEndpoints {
		endpoint := discoveryv1.Endpoint{Hostname: ptr.To("host")}
		for a := range productAddresses {
			endpoint.Addresses = append(endpoint.Addresses, fmt.Sprintf("10.%d.%d.%d", 100+a, e/250, e%250+1))
		}
		shared = append(shared, endpoint)
	}
	create("one", "c0", discoveryv1.AddressTypeIPv4, shared)
}

// manyPorts gives an import as many ports as the slices have.
func manyPorts(yaml string) string {
	var ports []string
	for p := range productPorts {
		ports = append(ports, fmt.Sprintf("{name: p%d, port: %d, protocol: TCP}", p, p+1))
	}
	return strings.Replace(yaml, "{name: http, port: 80, protocol: TCP}", strings.Join(ports, ", "), 1)
}

// wantTransferred is the number of records that there are, with a SOA at both ends.
func wantTransferred() int {
	const (
		big = 2*productTargets + 2*productPorts*productTargets     // addresses and SRV, at the service and at endpoints or ports
		one = 2*productEndpoints*productAddresses + 2*productPorts // the same, with one name for all endpoints
		web = 1 + 2*productPorts                                   // an address
		own = 2 /* SOA */ + 1 /* NS */ + 1 /* its address */ + 1   /* dns-version */ // of the zone
	)
	return big + one + web + own
}

// transfer returns how many records a transfer has. It looks at headers only: unpacking millions of records takes long.
func transfer(t *testing.T, s *server) (records int) {
	t.Helper()
	packed, err := new(dns.Msg).SetAxfr("clusterset.local.").Pack()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(octets.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, dns.MaxMsgSize)
	for {
		// A transfer ends with the SOA that it began with; here, with silence, so that records after it would be seen.
		wait := patience
		if records == wantTransferred() {
			wait = 100 * time.Millisecond
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf[:2]); err != nil {
			return records
		}
		n := octets.BigEndian.Uint16(buf)
		if _, err := io.ReadFull(conn, buf[:n]); err != nil {
			t.Fatalf("after %d records: %v", records, err)
		}
		if rcode := buf[3] & 15; rcode != dns.RcodeSuccess {
			return 0 // not everything is known yet
		}
		records += int(octets.BigEndian.Uint16(buf[6:]))
	}
}

// shippedLimit returns the MiB that the manifest of CoreDNS allows it.
func shippedLimit(t *testing.T) int {
	t.Helper()
	manifest, err := os.ReadFile("../../../deploy/components/coredns/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`limits:\s+memory: (\d+)Mi`).FindSubmatch(manifest)
	if found == nil {
		t.Fatal("the manifest has no limit")
	}
	limit, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return limit
}

// memory returns the MiB that the server has resident, now and at its peak.
func (s *server) memory() (now, peak int) {
	s.t.Helper()
	now, peak, err := programs.MemoryOf(s.cmd.Process.Pid)
	if err != nil {
		s.t.Fatal(err)
	}
	return now >> 20, peak >> 20
}
