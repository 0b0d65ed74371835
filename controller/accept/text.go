package accept

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool { return isLower(c) || c >= 'A' && c <= 'Z' }

// isLabelValue says whether s can be the value of a label; the empty one can. It is asked for each endpoint, and regular expressions
// are slow.
func isLabelValue(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > validation.LabelValueMaxLength || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte("-_.", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isWord says whether s is a name as the API has them for enumerated values, such as PreferClose.
func isWord(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) {
			return false
		}
	}
	return len(s) <= 63
}

// canonical returns addresses in canonical text (RFC 5952): the same list if all are.
func canonical(addresses []string) []string {
	var out []string
	for i, text := range addresses {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue // the caller of the package accepted it
		}
		var space [64]byte
		if string(addr.AppendTo(space[:0])) == text {
			continue
		}
		if out == nil {
			out = append(out, addresses...)
		}
		out[i] = addr.String()
	}
	if out == nil {
		return addresses
	}
	return out
}
