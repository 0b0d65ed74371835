package view

import (
	"net"

	"github.com/miekg/dns"
)

// singleAddress is a set of one A record. Most sets have one record, and with many services each part of a set would have to
// be fetched from memory by itself.
type singleAddress struct {
	RRset
	rrs    [1]dns.RR
	a      dns.A
	octets [net.IPv4len]byte
}

func newSingleAddress(owner string, ttl uint32, octets []byte) *RRset {
	s := &singleAddress{}
	copy(s.octets[:], octets)
	s.a = dns.A{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}, A: s.octets[:]}
	s.rrs[0] = &s.a
	s.RRset = RRset{rrs: s.rrs[:], n: 1, size: aSize, largest: aSize}
	return &s.RRset
}

// singleService is a set of one SRV record.
type singleService struct {
	RRset
	rrs [1]dns.RR
	srv dns.SRV
}

func newSingleService(owner string, ttl uint32, target string, port uint16, extra []dns.RR) *RRset {
	s := &singleService{}
	s.srv = dns.SRV{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: ttl}, Weight: maxWeight, Port: port, Target: target}
	s.rrs[0] = &s.srv
	size := recordSize(&s.srv)
	s.RRset = RRset{rrs: s.rrs[:], n: 1, size: size, largest: size, extra: extra, extraSize: sizeOf(extra)}
	return &s.RRset
}
