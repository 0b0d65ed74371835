package view

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// MaxName is the length of the longest name that fits into 255 octets (RFC 1035 section 2.3.4): each label of a name is
// preceded by one octet, as it is followed by a dot in text, and the root takes one more.
const MaxName = 254

// Node is a name below that of a service: an endpoint, a port, or only a parent of such names (RFC 4592 section 2.2.2).
type Node struct {
	records *Records
	port    *portName
	host    hostname
	slices  []*Slice // where the endpoint may be: it is in the first
	at      int      // where it is in that
}

// portName is the name of a port.
type portName struct {
	Port
	name string // in full
	srv  lazy[RRset]
}

// Below returns what exists at a name below that of the service, by its labels above the service's ("<hostname>.<cluster>",
// "<cluster>", "_<port>._<protocol>", "_<protocol>"), if anything does. Nothing is built for the names of all endpoints: a
// slice that did not change keeps the records it has, whatever happens to others.
func (r *Records) Below(sub string) (n Node, exists bool) {
	if host, cluster, ok := strings.Cut(sub, "."); ok && r.service.Headless && host != "" && host[0] != '_' && r.fits(len(sub)) {
		n = Node{records: r, host: parseHostname(host), slices: r.service.of(cluster)}
		for i, s := range n.slices {
			if n.at = s.find(n.host, r.keeper); n.at >= 0 {
				n.slices = n.slices[i:]
				return n, true
			}
		}
	}
	port, exists := r.frame()[sub]
	return Node{records: r, port: port}, exists
}

// fits reports whether a name of so many characters above that of the service is not too long.
func (r *Records) fits(sub int) bool { return sub+1+len(r.owner) <= MaxName }

// A returns the IPv4 addresses of an endpoint.
func (n Node) A() *RRset { return n.addresses(4) }

// AAAA returns the IPv6 addresses of an endpoint.
func (n Node) AAAA() *RRset { return n.addresses(16) }

func (n Node) addresses(width int) (found *RRset) {
	for i, s := range n.slices {
		if s.width != width {
			continue
		}
		at := n.at
		if i > 0 {
			at = s.find(n.host, n.records.keeper)
		}
		switch {
		case at < 0:
		case found == nil:
			found = s.endpoint(n.records, at, n.host)
		default:
			return n.records.shared.get(n, width)
		}
	}
	return found
}

// SRV returns the service records at the name of a port, none at the name of an endpoint.
func (n Node) SRV() *RRset {
	p := n.port
	if p == nil {
		return nil
	}
	return p.srv.get(func() *RRset { return n.records.keeper.keep(n.records.serviceSet(p.name, called(p.Port))) })
}

// shared are the addresses at names that several slices have: no more than endpoints, and kept as everything that is built.
type shared struct {
	mu   sync.RWMutex
	sets map[sharedName]*lazy[RRset]
}

// sharedName is a name by the first endpoint that has it, in the first slice where one has it.
type sharedName struct {
	slice     *Slice
	at, width int
}

func (t *shared) get(n Node, width int) *RRset {
	r := n.records
	return t.of(sharedName{n.slices[0], n.at, width}, r.keeper).get(func() *RRset {
		a := r.at(n.host.label+"."+n.slices[0].cluster+"."+r.owner, width)
		var all []endpoint
		for _, s := range n.slices {
			if at := s.find(n.host, r.keeper); at >= 0 {
				all = s.appendEndpoints(all, at, n.host, r.keeper)
			}
		}
		a.collect(all)
		return r.keeper.keep(a.set())
	})
}

// of returns the place of a name.
func (t *shared) of(name sharedName, k *keeper) *lazy[RRset] {
	t.mu.RLock()
	set := t.sets[name]
	t.mu.RUnlock()
	if set != nil {
		return set
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if set = t.sets[name]; set == nil {
		if t.sets == nil {
			t.sets = map[sharedName]*lazy[RRset]{}
		}
		set = &lazy[RRset]{}
		t.sets[name] = set
		k.add(rowBytes)
	}
	return set
}

// frame returns the names below that of the service that are not those of endpoints: ports, and parents without records.
func (r *Records) frame() map[string]*portName {
	return *r.names.get(func() *map[string]*portName {
		m := map[string]*portName{}
		if !r.service.Headless {
			r.namePorts(m, r.service.Ports)
			return &m
		}
		for _, s := range r.service.slices {
			if r.hasNames(s) {
				nameParents(m, s.cluster)
			}
		}
		lists := map[uint64]struct{}{} // slices of one service mostly have the same ports
		for _, s := range r.service.preferred() {
			if _, known := lists[s.digest]; !known && r.hasNames(s) {
				r.namePorts(m, s.ports)
				lists[s.digest] = struct{}{}
			}
		}
		r.keeper.add(2 * setBytes * len(m))
		return &m
	})
}

// hasNames reports whether any endpoint of a slice has a name.
func (r *Records) hasNames(s *Slice) bool {
	const maxLabel = 63
	if s.len() == 0 || s.cluster == "" {
		return false
	}
	if r.fits(maxLabel + 1 + len(s.cluster)) {
		return true
	}
	var buf [2 * MaxName]byte
	for i := range s.len() {
		if r.fits(len(s.appendName(buf[:0], i))) {
			return true
		}
	}
	return false
}

// nameParents adds a name and its parents up to the name of the service.
func nameParents(m map[string]*portName, sub string) {
	for more := true; more; _, sub, more = strings.Cut(sub, ".") {
		if _, ok := m[sub]; !ok {
			m[sub] = nil
		}
	}
}

func (r *Records) namePorts(m map[string]*portName, ports []Port) {
	for _, p := range ports {
		sub := "_" + p.Name + "._" + p.Protocol
		if m[sub] != nil || !r.fits(len(sub)) {
			continue
		}
		nameParents(m, sub)
		m[sub] = &portName{Port: p, name: sub + "." + r.owner}
	}
}

// hostname is the label of an endpoint, and the address that it was made from if it looks like that.
type hostname struct {
	label string
	addr  netip.Addr
}

// parseHostname undoes what appendHostname does.
func parseHostname(label string) hostname {
	h := hostname{label: label}
	if addr, ok := parseDashed(label); ok {
		h.addr = addr
		return h
	}
	var text [MaxName]byte
	n := copy(text[:], label)
	if strings.Count(label, "-") < 2 || n < len(label) { // the shortest is ::
		return h
	}
	for i := range n {
		switch c := text[i]; {
		case c == '-':
			text[i] = ':'
		case !('0' <= c && c <= '9' || 'a' <= c && c <= 'f'):
			return h
		}
	}
	addr, err := netip.ParseAddr(string(text[:n]))
	if err != nil {
		return h
	}
	octets := addr.As16()
	if bytes.Equal(appendHostname(text[:0], octets[:]), []byte(label)) { // of all ways to write it, the canonical one
		h.addr = addr
	}
	return h
}

// parseDashed parses an IPv4 address with dashes.
func parseDashed(label string) (addr netip.Addr, ok bool) {
	var octets [4]byte
	at, value, digits := 0, 0, 0
	for i := range len(label) {
		c := label[i]
		switch {
		case c == '-':
			if digits == 0 || at == 3 {
				return addr, false
			}
			octets[at] = byte(value)
			at, value, digits = at+1, 0, 0
		case c < '0' || c > '9' || digits > 0 && value == 0:
			return addr, false
		default:
			if value, digits = value*10+int(c-'0'), digits+1; value > 255 {
				return addr, false
			}
		}
	}
	octets[at] = byte(value)
	return netip.AddrFrom4(octets), at == 3 && digits > 0
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
