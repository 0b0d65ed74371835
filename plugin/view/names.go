package view

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxName is the length of the longest name that fits into 255 octets (RFC 1035 section 2.3.4): each label of a name is
// preceded by one octet, as it is followed by a dot in text, and the root takes one more.
const maxName = 254

// Node is a name below that of a service: an endpoint, a port, or only a parent of such names (RFC 4592 section 2.2.2).
type Node struct {
	records *Records
	target  string   // the name of the endpoint in full
	octets  [][]byte // its addresses
	ports   []Port   // its ports, or those that the name of a port stands for
	port    bool     // the name of a port

	a, aaaa, srv lazy[RRset]
}

// A returns the IPv4 addresses of an endpoint.
func (n *Node) A() *RRset {
	if n.octets == nil {
		return nil
	}
	return n.a.get(func() *RRset { return n.addresses(4) })
}

// AAAA returns the IPv6 addresses of an endpoint.
func (n *Node) AAAA() *RRset {
	if n.octets == nil {
		return nil
	}
	return n.aaaa.get(func() *RRset { return n.addresses(16) })
}

func (n *Node) addresses(width int) *RRset {
	octets := n.octets
	if slices.ContainsFunc(octets, func(o []byte) bool { return len(o) != width }) {
		octets = slices.DeleteFunc(slices.Clone(octets), func(o []byte) bool { return len(o) != width })
	}
	return NewRRset(addressRecords(n.target, n.records.zone.TTL, octets), nil)
}

// SRV returns the service records at the name of a port, none at the name of an endpoint.
func (n *Node) SRV() *RRset {
	if !n.port {
		return nil
	}
	return n.srv.get(func() *RRset {
		return n.records.services(n.target, func(p Port) bool { return p.Name == n.ports[0].Name && p.Protocol == n.ports[0].Protocol })
	})
}

// Below returns every name that exists below that of the service, by its labels above the service's ("<hostname>.<cluster>",
// "<cluster>", "_<port>._<protocol>", "_<protocol>").
func (r *Records) Below() map[string]*Node {
	return *r.below.get(func() *map[string]*Node {
		m := map[string]*Node{}
		if r.service.Headless {
			r.nameEndpoints(m)
		} else {
			r.namePorts(m, r.service.Ports)
		}
		return &m
	})
}

func (r *Records) nameEndpoints(m map[string]*Node) {
	named := map[*Slice]bool{} // whose ports have names already
	buf := make([]byte, 0, 2*maxName)
	for _, e := range r.service.ready() {
		if buf = e.appendName(buf[:0]); len(buf) == 0 || len(buf)+1+len(r.owner) > maxName {
			continue
		}
		sub := len(buf)
		target := string(append(append(buf, '.'), r.owner...))
		node := r.node(m, target[:sub])
		node.target = target
		if !slices.ContainsFunc(node.octets, func(o []byte) bool { return string(o) == string(e.octets) }) {
			node.octets = append(node.octets, e.octets)
		}
		node.ports = union(node.ports, e.slice.ports)
		if !named[e.slice] {
			named[e.slice] = true
			r.namePorts(m, e.slice.ports)
		}
	}
}

// union returns the ports of both, one of the two itself where the other has nothing to add.
func union(a, b []Port) []Port {
	if len(a) == 0 {
		return b
	}
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(slices.Clip(a), p)
		}
	}
	return a
}

func (r *Records) namePorts(m map[string]*Node, ports []Port) {
	for _, p := range ports {
		sub := "_" + p.Name + "._" + p.Protocol
		if n := m[sub]; n != nil && n.port || len(sub)+1+len(r.owner) > maxName {
			continue
		}
		node := r.node(m, sub)
		node.port, node.target, node.ports = true, sub+"."+r.owner, []Port{p}
	}
}

// node returns the node called sub, which begins to exist, as do its parents up to the name of the service.
func (r *Records) node(m map[string]*Node, sub string) *Node {
	if n := m[sub]; n != nil {
		return n
	}
	n := &Node{records: r}
	m[sub] = n
	if i := strings.IndexByte(sub, '.'); i >= 0 {
		r.node(m, sub[i+1:])
	}
	return n
}

// appendHostname appends the DNS label that is made from an address: its canonical text (RFC 5952) with dashes, and a zero
// where a dash would begin or end it (KEP-1645, DNS specification 2.4.1).
func appendHostname(buf, octets []byte) []byte {
	addr, _ := netip.AddrFromSlice(octets)
	start := len(buf)
	buf = addr.AppendTo(buf)
	for i := start; i < len(buf); i++ {
		if buf[i] == '.' || buf[i] == ':' {
			buf[i] = '-'
		}
	}
	if buf[start] == '-' {
		buf = slices.Insert(buf, start, '0')
	}
	if buf[len(buf)-1] == '-' {
		buf = append(buf, '0')
	}
	return buf
}

// Walk calls yield with every set of records of the service in the zone, each once.
func (r *Records) Walk(yield func([]dns.RR)) {
	if !r.Exist() {
		return
	}
	all := func(sets ...*RRset) {
		for _, set := range sets {
			if set.Len() > 0 {
				yield(set.All())
			}
		}
	}
	all(r.A(), r.AAAA(), r.SRV())
	below := r.Below()
	names := make([]string, 0, len(below))
	for name := range below {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		node := below[name]
		all(node.A(), node.AAAA(), node.SRV())
	}
}
