package corefile

import (
	"fmt"
	"strings"
)

// Lines around a block of ours, by which it is found again.
const (
	stubBegins = "# mcsctl dns: "
	stubEnds   = "# mcsctl dns: end"
)

// WithStub returns a Corefile with a server block at its end that forwards zone to the addresses, keeps no answer, and balances
// (SPEC D18). A block that an earlier call made for the zone is replaced; nothing else is touched.
func WithStub(text, zone string, to []string) string {
	name := strings.TrimSuffix(Zone(zone), ".")
	text, _ = WithoutStub(text, zone)
	port := "53"
	if servers := dnsServers(Parse(text)); len(servers) > 0 {
		port = servers[0].Port
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + fmt.Sprintf("%s%s\n%s:%s {\n    errors\n    forward . %s\n    loadbalance\n}\n%s\n",
		stubBegins, name, name, port, strings.Join(to, " "), stubEnds)
}

// WithoutStub returns a Corefile without the block that [WithStub] made for zone, and whether there was one.
func WithoutStub(text, zone string) (string, bool) {
	begins := stubBegins + strings.TrimSuffix(Zone(zone), ".") + "\n"
	before, rest, found := strings.Cut(text, begins)
	if !found || before != "" && !strings.HasSuffix(before, "\n") {
		return text, false
	}
	_, after, found := strings.Cut(rest, stubEnds)
	if !found {
		return text, false // somebody edited it: what is whose can't be told
	}
	return before + strings.TrimPrefix(after, "\n"), true
}
