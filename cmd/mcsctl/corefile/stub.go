package corefile

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
)

// Lines around a block of ours, by which it is found again. The second ends with a digest of the block, by which it is seen
// whether somebody changed it.
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
	block := fmt.Sprintf("%s:%s {\n    errors\n    forward . %s\n    loadbalance\n}\n",
		name, port, strings.Join(to, " "))
	return text + stubBegins + name + "\n" + block + stubEnds + " " + digest(block) + "\n"
}

// WithoutStub returns a Corefile without the block that [WithStub] made for zone, and whether there was one.
func WithoutStub(text, zone string) (string, bool) {
	c, found := cutStub(text, zone)
	if !found {
		return text, false
	}
	return c.before + c.after, true
}

// StubEdited says whether the block that [WithStub] made for zone is there, and somebody changed more of it than spaces.
func StubEdited(text, zone string) bool {
	c, found := cutStub(text, zone)
	return found && c.digest != digest(c.block) && !(c.digest == "" && undigested.MatchString(words(c.block)))
}

// undigested is a block, by its words, as mcsctl wrote it before it added a digest. It is replaced, since it keeps answers (SPEC D18).
var undigested = regexp.MustCompile(`^\S+ \{ errors cache 5 forward \.( [0-9a-f.:]+)+ \}$`)

// stubCut is a Corefile, cut at the lines around a block of ours.
type stubCut struct{ before, block, digest, after string }

func cutStub(text, zone string) (c stubCut, found bool) {
	begins := stubBegins + strings.TrimSuffix(Zone(zone), ".") + "\n"
	c.before, c.block, found = strings.Cut(text, begins)
	if !found || c.before != "" && !strings.HasSuffix(c.before, "\n") {
		return c, false
	}
	c.block, c.after, found = strings.Cut(c.block, stubEnds)
	c.digest, c.after, _ = strings.Cut(c.after, "\n")
	c.digest = strings.TrimSpace(c.digest)
	return c, found // without its end, what is whose can't be told
}

// digest is one of a block's words.
func digest(block string) string {
	sum := sha256.Sum256([]byte(words(block)))
	return fmt.Sprintf("%x", sum[:4])
}

// words returns a block with one space for all that is between its words.
func words(block string) string { return strings.Join(strings.Fields(block), " ") }
