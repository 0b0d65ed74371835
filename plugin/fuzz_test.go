package multicluster

import (
	"strings"
	"testing"

	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// FuzzParse: a name is taken apart into pieces of itself, and no name panics.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"", "svc", "a.svc", "b.a.svc", "_http._tcp.b.a.svc", "x.y.z.b.a.svc", ".svc", "..svc", `\.svc`, "dns-version", "ns.dns", "."} {
		f.Add(name, testZone)
	}
	f.Fuzz(func(t *testing.T, name, zone string) {
		q := parse(name)
		if q.kind == service {
			joined := q.key + ".svc"
			if q.sub != "" {
				joined = q.sub + "." + joined
			}
			if joined != name && "."+joined != name || strings.Count(q.key, ".") != 1 {
				t.Errorf("%q is not %+v", name, q)
			}
		}
		describe(q)
		if above, ok := within(name+"."+zone, strings.ToLower(zone)); ok && !strings.HasPrefix(name+"."+zone, above) {
			t.Errorf("%q is above %q in %q", above, zone, name)
		}
	})
}

// FuzzServe gives the handler whatever a client could send. It must not panic, nor write what can't be packed or is too
// long, nor anything about names outside its zone, nor answer a question with other than its own name.
func FuzzServe(f *testing.F) {
	for _, q := range []struct {
		name  string
		qtype uint16
	}{
		{"web.shop.svc.clusterset.local.", dns.TypeA}, {"_http._tcp.web.shop.svc.clusterset.local.", dns.TypeSRV},
		{"DB-0.west.eu.db.shop.svc.clusterset.local.", dns.TypeAAAA}, {"big.shop.svc.clusterset.local.", dns.TypeANY},
		{"clusterset.local.", dns.TypeNS}, {`\000\255.svc.clusterset.local.`, dns.TypeHTTPS}, {"example.org.", dns.TypeTXT},
	} {
		r := new(dns.Msg).SetQuestion(q.name, q.qtype)
		for _, size := range []uint16{0, 512, 1232} {
			if size > 0 {
				r.SetEdns0(size, size > 600)
			}
			packed, err := r.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed, size == 0)
		}
	}
	var p *fixture
	f.Fuzz(func(t *testing.T, packed []byte, tcp bool) {
		if p == nil {
			p = newFixture(t, testZone)
			p.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices + "\n---\n" + bigSlices(3, 40, 2))
		}
		r := new(dns.Msg)
		// The server answers only messages that can be read, with one question, and without EDNS of another version.
		if r.Unpack(packed) != nil || len(r.Question) != 1 || r.IsEdns0() != nil && r.IsEdns0().Version() != 0 {
			return
		}
		question := r.Question[0]
		w := &wire{t: t, tcp: tcp}
		limit := dns.MinMsgSize
		if opt := r.IsEdns0(); opt != nil {
			limit = max(limit, int(opt.UDPSize()))
		}
		_, _ = p.ServeDNS(t.Context(), request.NewScrubWriter(r, w), r)
		if w.reply == nil {
			return
		}
		if !dns.IsSubDomain(testZone, question.Name) {
			t.Errorf("%s is not ours: %v", question.Name, w.reply)
		}
		if !tcp && w.size > limit && r.IsTsig() == nil {
			t.Errorf("%d octets for a client that takes %d: %v", w.size, limit, w.reply.Question)
		}
		for _, rr := range w.reply.Answer {
			if rr.Header().Name != question.Name {
				t.Errorf("%s answered with %s", question.Name, rr)
			}
		}
	})
}
