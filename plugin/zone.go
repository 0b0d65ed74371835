package multicluster

import (
	"net/netip"
	"sync/atomic"

	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/miekg/dns"
)

const (
	// specVersion is the version of the DNS specification of KEP-1645 that is followed.
	specVersion = "1.0.0"
	versionTTL  = 28800
)

// zone is one zone as one server block serves it.
type zone struct {
	view.Zone
	fall   fall.F
	source *source

	// What stands whatever is imported.
	ns, version *view.RRset
	addresses   statics // of the name server
	soa         atomic.Pointer[soa]
}

// soa is the SOA record as of a state of the view.
type soa struct {
	changes uint64
	serial  uint32
	set     *view.RRset
}

// records is what is found at a name: the sets of each type that the name may have.
type records interface {
	A() *view.RRset
	AAAA() *view.RRset
	SRV() *view.RRset
}

type statics struct{ a, aaaa *view.RRset }

func (s *statics) A() *view.RRset    { return s.a }
func (s *statics) AAAA() *view.RRset { return s.aaaa }
func (s *statics) SRV() *view.RRset  { return nil }

// standing reports whether a question is answered alike whatever is imported.
func (z *zone) standing(q query, qtype uint16) bool {
	switch q.kind {
	case apex:
		return qtype == dns.TypeSOA || qtype == dns.TypeNS
	case version, nameserver:
		return true
	}
	return false
}

// find returns the records of a type at a name, and whether the name exists.
func (z *zone) find(q query, qtype uint16) (set *view.RRset, exists bool) {
	switch q.kind {
	case apex:
		return z.atApex(qtype), true
	case parent:
		return nil, true
	case version:
		if qtype == dns.TypeTXT || qtype == dns.TypeANY {
			return z.version, true
		}
		return nil, true
	case nameserver:
		return ofType(&z.addresses, qtype), true
	case namespace:
		return nil, z.source.view.HasNamespace(q.key)
	case service:
		return z.atService(q, qtype)
	}
	return nil, false
}

func (z *zone) atApex(qtype uint16) *view.RRset {
	switch qtype {
	case dns.TypeSOA, dns.TypeANY:
		return z.authority()
	case dns.TypeNS:
		return z.ns
	}
	return nil
}

func (z *zone) atService(q query, qtype uint16) (set *view.RRset, exists bool) {
	s := z.source.view.Service(q.key)
	if s == nil {
		return nil, false
	}
	r := s.In(z.Zone)
	if !r.Exist() {
		return nil, false
	}
	if q.sub == "" {
		return ofType(r, qtype), true
	}
	node, exists := r.Below(q.sub)
	if !exists {
		return nil, false
	}
	return ofType(node, qtype), true
}

// ofType returns the records of a type. Asked for ANY it returns those of one type that there is (RFC 8482 section 4.1).
func ofType[R records](r R, qtype uint16) *view.RRset {
	switch qtype {
	case dns.TypeA:
		return r.A()
	case dns.TypeAAAA:
		return r.AAAA()
	case dns.TypeSRV:
		return r.SRV()
	case dns.TypeANY:
		for _, set := range []*view.RRset{r.A(), r.AAAA()} {
			if set.Len() > 0 {
				return set
			}
		}
		return r.SRV()
	}
	return nil
}

// authority returns the SOA record, whose serial grows when it is read after a change that some answer shows.
func (z *zone) authority() *view.RRset {
	changes, known := z.source.view.Changes(), z.soa.Load()
	if known != nil && known.changes == changes {
		return known.set
	}
	serial, of := z.source.serial.at(changes)
	if known != nil && known.changes == of && known.serial == serial {
		return known.set // what changed since has its serial later
	}
	s := &soa{of, serial, z.newSOA(serial)}
	z.soa.Store(s)
	return s.set
}

func (z *zone) newSOA(serial uint32) *view.RRset {
	return view.NewRRset([]dns.RR{&dns.SOA{
		Hdr:     z.header(z.Origin, dns.TypeSOA),
		Ns:      z.Name("ns.dns"),
		Mbox:    z.Name("hostmaster"),
		Serial:  serial,
		Refresh: 7200,
		Retry:   1800,
		Expire:  86400,
		Minttl:  z.TTL,
	}}, nil)
}

func (z *zone) header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: z.TTL}
}

// stand builds the records that are there whatever is imported. The addresses are those of this server.
func (z *zone) stand(addresses []netip.Addr) {
	var a, aaaa []dns.RR
	name := z.Name("ns.dns")
	for _, addr := range addresses {
		if addr.Is4() {
			a = append(a, &dns.A{Hdr: z.header(name, dns.TypeA), A: addr.AsSlice()})
		} else {
			aaaa = append(aaaa, &dns.AAAA{Hdr: z.header(name, dns.TypeAAAA), AAAA: addr.AsSlice()})
		}
	}
	z.addresses = statics{view.NewRRset(a, nil), view.NewRRset(aaaa, nil)}
	glue := append(z.addresses.a.All(), z.addresses.aaaa.All()...)
	z.ns = view.NewRRset([]dns.RR{&dns.NS{Hdr: z.header(z.Origin, dns.TypeNS), Ns: name}}, glue)
	txt := &dns.TXT{Hdr: z.header(z.Name("dns-version"), dns.TypeTXT), Txt: []string{specVersion}}
	txt.Hdr.Ttl = versionTTL
	z.version = view.NewRRset([]dns.RR{txt}, nil)
}
