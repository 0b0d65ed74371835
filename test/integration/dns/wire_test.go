package dns

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// bigYAML is a headless service with endpoints in three clusters, one port each.
func bigYAML(endpoints int) string {
	var b strings.Builder
	b.WriteString(strings.Replace(db, "name: db", "name: big", 1))
	for c := range 3 {
		fmt.Fprintf(&b, "\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: big-%d, namespace: NS, labels: "+
			"{multicluster.kubernetes.io/service-name: big, multicluster.kubernetes.io/source-cluster: c%d}}\n"+
			"addressType: IPv4\nports: [{name: pg, port: 5432, protocol: TCP}]\nendpoints:\n", c, c)
		for e := range endpoints {
			fmt.Fprintf(&b, "- {addresses: [10.%d.0.%d]}\n", c+1, e+1)
		}
	}
	return b.String()
}

// TestWire asks the real server what a client may ask (SPEC D6, D7).
func TestWire(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	apply(t, c, ns, bigYAML(100)+"\n---"+web)
	big, webName := "big."+ns+".svc.clusterset.local.", "web."+ns+".svc.clusterset.local."
	s.answers(want{name: webName, qtype: dns.TypeA, answer: []string{webName + " 5 IN A 10.96.1.1"}})
	s.await("300 endpoints over TCP", func() error {
		reply, err := s.exchange("tcp", new(dns.Msg).SetQuestion(big, dns.TypeA))
		if err == nil && (len(reply.Answer) != 300 || reply.Truncated) {
			err = fmt.Errorf("%d records, TC %v", len(reply.Answer), reply.Truncated)
		}
		return err
	})
	for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
		for size := uint16(0); size <= 4096; size += 128 {
			if 0 < size && size < 512 {
				continue
			}
			checkSize(t, s, big, qtype, size)
		}
		checkSize(t, s, big, qtype, 65535)
	}
	for name, rcode := range map[string]int{
		strings.ToUpper(webName):                           dns.RcodeSuccess,
		"wEB." + ns + ".sVc.CLUSTERSET.local.":             dns.RcodeSuccess,
		`web\.` + ns + `.svc.clusterset.local.`:            dns.RcodeNameError,
		`\000\255.` + ns + `.svc.clusterset.local.`:        dns.RcodeNameError,
		`b\195\188cher.` + ns + `.svc.clusterset.local.`:   dns.RcodeNameError,
		strings.Repeat("l", 63) + ".svc.clusterset.local.": dns.RcodeNameError,
		strings.Repeat("a.", 115) + "clusterset.local.":    dns.RcodeNameError,
	} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeHTTPS, dns.TypeMX, dns.TypeANY, dns.TypeDS, 65280} {
			reply := s.ask(name, qtype)
			if reply.Rcode != rcode || reply.Question[0].Name != name {
				t.Errorf("%s %s: %v", name, dns.Type(qtype), reply)
			}
			if rcode == dns.RcodeSuccess && (qtype == dns.TypeA || qtype == dns.TypeANY) != (len(reply.Answer) == 1 && reply.Answer[0].Header().Name == name) {
				t.Errorf("%s %s: %v", name, dns.Type(qtype), reply)
			}
		}
	}
	chaos := new(dns.Msg).SetQuestion(webName, dns.TypeA)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if reply, err := s.exchange("udp", chaos); err != nil || reply.Rcode != dns.RcodeRefused {
		t.Errorf("class CH: %v %v", reply, err)
	}
}

// checkSize asks over UDP with an EDNS size, or without EDNS.
func checkSize(t *testing.T, s *server, name string, qtype, size uint16) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	limit := dns.MinMsgSize
	if size > 0 {
		m.SetEdns0(size, false)
		limit = max(limit, int(size))
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(packed); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 65536)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(buf[:n]); err != nil {
		t.Fatalf("size %d: %v", size, err)
	}
	if n > limit || reply.Truncated != (len(reply.Answer) < 300) || len(reply.Answer) == 0 || (reply.IsEdns0() != nil) != (size > 0) {
		t.Errorf("size %d: %d octets, %d records, TC %v, OPT %v", size, n, len(reply.Answer), reply.Truncated, reply.IsEdns0())
	}
}

// transfer returns all records of the zone, which a transfer carried to its end.
func (s *server) transfer() (all []dns.RR) {
	s.t.Helper()
	envelopes, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr("clusterset.local."), s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	for e := range envelopes {
		if e.Error != nil {
			s.t.Fatal(e.Error)
		}
		all = append(all, e.RR...)
	}
	if len(all) < 2 || all[0].Header().Rrtype != dns.TypeSOA || all[len(all)-1].String() != all[0].String() {
		s.t.Fatalf("a transfer that does not begin and end with the SOA: %v", all)
	}
	return all
}

// TestTransfer: AXFR through the plugin transfer carries what queries answer (SPEC D12).
func TestTransfer(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, bigYAML(60)+"\n---"+web+"\n---"+db+"\n---"+dbEast)
	s := serve(t, fmt.Sprintf(`clusterset.local:{port} {
    bind 127.0.0.1
    multicluster {
        kubeconfig %s
    }
    transfer {
        to *
    }
}`, c.Kubeconfig()))
	s.answers(want{name: "db-0.east.db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA,
		answer: []string{"db-0.east.db." + ns + ".svc.clusterset.local. 5 IN A 10.1.0.1"}})
	transferred := s.transfer()
	got := records(transferred)
	names := map[string]bool{}
	for _, rr := range transferred {
		names[rr.Header().Name] = true
	}
	var asked []string
	for name := range names {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypeNS, dns.TypeSOA} {
			reply, err := s.exchange("tcp", new(dns.Msg).SetQuestion(name, qtype))
			if err != nil {
				t.Fatal(err)
			}
			asked = append(asked, records(reply.Answer)...)
			if qtype == dns.TypeSOA {
				asked = append(asked, records(reply.Answer)...) // it begins and ends a transfer
			}
		}
	}
	slices.Sort(asked)
	if !slices.Equal(got, asked) || len(got) < 500 {
		t.Errorf("%d records transferred, %d asked one by one", len(got), len(asked))
	}
}
