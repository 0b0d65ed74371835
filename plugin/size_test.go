package multicluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// bigSlices are the endpoints of service big in a number of clusters.
func bigSlices(clusters, endpoints, ports int) string {
	var b strings.Builder
	b.WriteString("kind: ServiceImport\nmetadata: {name: big, namespace: shop}\nspec: {type: Headless, ports: []}")
	for c := range clusters {
		fmt.Fprintf(&b, "\n---\nmetadata: {name: big-%d, namespace: shop, labels: {multicluster.kubernetes.io/service-name: big, "+
			"multicluster.kubernetes.io/source-cluster: cluster-%d}}\naddressType: IPv4\nports:\n", c, c)
		for p := range ports {
			fmt.Fprintf(&b, "- {name: port-%d, port: %d}\n", p, 8000+p)
		}
		b.WriteString("endpoints:\n")
		for e := range endpoints {
			fmt.Fprintf(&b, "- {addresses: [10.%d.%d.%d]}\n", c+1, e/250, e%250+1)
		}
	}
	return b.String()
}

const big = "big.shop.svc.clusterset.local."

// TestEverySize_D7: answers of any size, asked for with any limit: as many records as fit, TC where some of Answer are
// missing and only then, no duplicate, and nothing beyond the limit (which ask checks).
func TestEverySize_D7(t *testing.T) {
	for _, endpoints := range []int{1, 2, 7, 8, 30, 100} {
		f := newFixture(t, testZone)
		f.apply(bigSlices(3, endpoints, 3))
		for _, q := range []struct {
			name  string
			qtype uint16
			total int
		}{
			{big, dns.TypeA, 3 * endpoints},
			{big, dns.TypeSRV, 9 * endpoints},
			{"_port-1._tcp." + big, dns.TypeSRV, 3 * endpoints},
			{"BIG.shop.svc.clusterset.local.", dns.TypeA, 3 * endpoints},
			{"BIG.shop.svc.clusterset.local.", dns.TypeSRV, 9 * endpoints},
		} {
			for size := uint16(0); size <= 4200; size += 13 {
				if size == 13 {
					size = 512
				}
				reply, _ := f.ask(client{size: size}, q.name, q.qtype)
				checkCut(t, reply, q.total, max(int(size), dns.MinMsgSize))
			}
			reply, _ := f.ask(overTCP, q.name, q.qtype)
			checkCut(t, reply, q.total, dns.MaxMsgSize)
		}
	}
}

// checkCut checks an answer that has total records, of which not all need to fit into limit.
func checkCut(t *testing.T, reply *dns.Msg, total, limit int) {
	t.Helper()
	q := reply.Question[0]
	if reply.Truncated != (len(reply.Answer) < total) {
		t.Fatalf("%s: %d of %d records, TC %v", q.String(), len(reply.Answer), total, reply.Truncated)
	}
	seen := map[string]bool{}
	for _, rr := range append(append([]dns.RR{}, reply.Answer...), reply.Extra...) {
		if seen[rr.String()] {
			t.Fatalf("%s: %s twice", q.String(), rr)
		}
		seen[rr.String()] = true
	}
	for _, rr := range reply.Answer {
		if rr.Header().Name != q.Name {
			t.Fatalf("%s: owner of %s", q.String(), rr)
		}
	}
	if !reply.Truncated {
		return
	}
	// One more of the largest record would not have fitted.
	reply.Compress = true
	if largest := 18 + len("10-1-0-250.cluster-1."+big) + 1; q.Qtype == dns.TypeSRV && reply.Len()+largest <= limit ||
		q.Qtype == dns.TypeA && reply.Len()+16 <= limit {
		t.Fatalf("%s: %d octets of %d, and records are missing", q.String(), reply.Len(), limit)
	}
}

// TestFits_D7: how many records fit is known beforehand.
func TestFits_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, 100, 3))
	for _, c := range []struct {
		client client
		qtype  uint16
		min    int
	}{
		{client{size: 1232}, dns.TypeA, 73},
		{client{size: 4096}, dns.TypeA, 252},
		{client{}, dns.TypeA, 28},
		{client{size: 1232}, dns.TypeSRV, 15},
		{overTCP, dns.TypeA, 300},
		{overTCP, dns.TypeSRV, 900},
	} {
		reply, _ := f.ask(c.client, big, c.qtype)
		if len(reply.Answer) < c.min {
			t.Errorf("%+v %s: %d records, not %d", c.client, dns.TypeToString[c.qtype], len(reply.Answer), c.min)
		}
	}
}

// TestAdditional_D7: Additional is cut first, and without TC.
func TestAdditional_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(2, 4, 1))
	last := -1
	for size := uint16(512); size < 1000; size++ {
		reply, _ := f.ask(client{size: size}, big, dns.TypeSRV)
		if extra := len(texts(reply.Extra)); reply.Truncated {
			if extra > 0 {
				t.Fatalf("%d: Answer is cut, and Additional has %d records", size, extra)
			}
		} else if extra < last {
			t.Fatalf("%d: less in Additional than before", size)
		} else {
			last = extra
		}
	}
	if last != 8 {
		t.Errorf("%d records in Additional", last)
	}
}

// TestBeyondDatagram_D7: a client may say that it accepts more than one datagram carries.
func TestBeyondDatagram_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(9, 900, 1))
	for size := 65400; size <= dns.MaxMsgSize-1; size++ {
		reply, _ := f.ask(client{size: uint16(size)}, big, dns.TypeA)
		checkCut(t, reply, 9*900, min(size, 65507))
	}
}

// TestBeyond64K_D7: even TCP has a limit.
func TestBeyond64K_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(5, 1000, 2))
	a, _ := f.ask(overTCP, big, dns.TypeA)
	if !a.Truncated || len(a.Answer) != (65535-12-len(big)-1-4)/16 {
		t.Errorf("%d A records, TC %v", len(a.Answer), a.Truncated)
	}
	srv, _ := f.ask(overTCP, big, dns.TypeSRV)
	if !srv.Truncated || len(srv.Answer) < 900 {
		t.Errorf("%d SRV records, TC %v", len(srv.Answer), srv.Truncated)
	}
}

// TestRotation_D7: which endpoints an answer that is cut has changes from answer to answer: over all clusters at once, and
// so that none starves.
func TestRotation_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, 100, 3))
	for _, q := range []struct {
		qtype   uint16
		answers int
	}{{dns.TypeA, 300/73 + 1}, {dns.TypeSRV, 900/13 + 2}} {
		seen := map[string]bool{}
		for range q.answers {
			reply, _ := f.ask(client{size: 1232}, big, q.qtype)
			clusters := map[string]bool{}
			for _, rr := range reply.Answer {
				seen[rr.String()] = true
				switch rr := rr.(type) {
				case *dns.A:
					clusters[rr.A.String()[:5]] = true
				case *dns.SRV:
					clusters[dns.SplitDomainName(rr.Target)[1]] = true
				}
			}
			if len(clusters) != 3 {
				t.Fatalf("an answer from %v only", clusters)
			}
		}
		if want := 300 * int(1+q.qtype/dns.TypeSRV*2); len(seen) != want {
			t.Errorf("%s: %d of %d records seen in %d answers", dns.TypeToString[q.qtype], len(seen), want, q.answers)
		}
	}
}

// TestOptions_D7: what the client sends with EDNS comes back, and is counted.
func TestOptions_D7(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(bigSlices(3, 100, 1))
	for padding := range 300 {
		r := new(dns.Msg).SetQuestion(big, dns.TypeA)
		r.SetEdns0(600, true)
		opt := r.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "24a5ac1223344556"},
			&dns.EDNS0_PADDING{Padding: make([]byte, padding)})
		reply, _ := f.exchange(f.Multicluster, client{size: 600}, r)
		if !reply.Truncated || len(reply.Answer) == 0 || reply.IsEdns0() == nil || !reply.IsEdns0().Do() {
			t.Fatalf("padding %d: %v", padding, reply)
		}
	}
}
