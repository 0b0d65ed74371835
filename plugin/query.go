package multicluster

import "strings"

// kind says which part of a zone a name lies in (KEP-1645, DNS specification 2).
type kind uint8

const (
	absent     kind = iota // no name can be here, whatever is imported
	parent                 // always there, never with records: svc.<zone>, dns.<zone>
	apex                   // <zone>
	version                // dns-version.<zone>
	nameserver             // ns.dns.<zone>
	namespace              // <ns>.svc.<zone>
	service                // [<sub>.]<service>.<ns>.svc.<zone>
)

// query is a name of a zone, taken apart. It shares its strings with the name it was made from.
type query struct {
	kind kind
	key  string // "<service>.<ns>" or "<ns>"
	sub  string // the labels above those of the service, without a dot at the end
}

// parse takes a name apart that is relative to its zone, in lower case and without a dot at the end; "" is the apex.
// Nothing that this plugin serves has a name with an escaped octet, so a backslash makes a name absent.
func parse(name string) query {
	switch name {
	case "":
		return query{kind: apex}
	case "svc", "dns":
		return query{kind: parent}
	case "dns-version":
		return query{kind: version}
	case "ns.dns":
		return query{kind: nameserver}
	}
	name, ok := strings.CutSuffix(name, ".svc")
	if !ok || strings.IndexByte(name, '\\') >= 0 {
		return query{kind: absent}
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return query{kind: namespace, key: name}
	}
	above := strings.LastIndexByte(name[:dot], '.')
	if above < 0 {
		return query{kind: service, key: name}
	}
	return query{kind: service, key: name[above+1:], sub: name[:above]}
}

// within returns the part of qname above the zone, without a dot at its end, and whether qname is in the zone at all.
// The case of letters does not matter (RFC 4343); the zone is in lower case.
func within(qname, zone string) (name string, ok bool) {
	if zone == "." {
		return strings.TrimSuffix(qname, "."), true
	}
	cut := len(qname) - len(zone)
	if cut < 0 || !equalFold(qname[cut:], zone) {
		return "", false
	}
	if cut == 0 {
		return "", true
	}
	if qname[cut-1] != '.' || escaped(qname, cut-1) {
		return "", false
	}
	return qname[:cut-1], true
}

// equalFold compares s to t, which has the same length and is in lower case.
func equalFold(s, t string) bool {
	if s == t {
		return true
	}
	for i := range len(s) {
		if lower(s[i]) != t[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// escaped reports whether the octet of s at i follows an odd number of backslashes: it is part of a label then.
func escaped(s string, i int) bool {
	odd := false
	for i--; i >= 0 && s[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// lowerName returns s in lower case, s itself where it is already.
func lowerName(s string) string {
	rest := s
	for ; len(rest) >= 8; rest = rest[8:] {
		const bit6 = 0x40 * 0x0101010101010101
		word := uint64(rest[0]) | uint64(rest[1])<<8 | uint64(rest[2])<<16 | uint64(rest[3])<<24 |
			uint64(rest[4])<<32 | uint64(rest[5])<<40 | uint64(rest[6])<<48 | uint64(rest[7])<<56
		// Upper case has bit 6 without bit 5, as do six other characters.
		if word&^(word<<1)&bit6 != 0 && hasUpper(rest[:8]) {
			return strings.ToLower(s)
		}
	}
	if hasUpper(rest) {
		return strings.ToLower(s)
	}
	return s
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if lower(s[i]) != s[i] {
			return true
		}
	}
	return false
}
