// Package corefile reads a Corefile as far as is needed to say whether CoreDNS answers for a zone, and how: which server
// block a name of the zone falls into, and what stands there.
//
// It is pure, and reads the text only: neither `import` nor `{$VARIABLE}` is followed, since both would mean something of
// the machine that this runs on rather than of the pod. It never says whether CoreDNS would accept the file.
package corefile

import (
	"net"
	"strings"

	"github.com/coredns/caddy/caddyfile"
)

// Line is a directive or an option: a name and what follows on its line, and within braces.
type Line struct {
	Name  string
	Args  []string
	Block []Line
}

// Server is one server block.
type Server struct {
	// Zones are in lower case with a dot at the end, without schemes and ports.
	Zones []string
	// Port is that of the first key, "53" where none is given.
	Port  string
	Lines []Line
}

// Find returns the directives of a name, in their order.
func (s *Server) Find(name string) []Line {
	var out []Line
	for _, l := range s.Lines {
		if l.Name == name {
			out = append(out, l)
		}
	}
	return out
}

// Option returns the arguments of an option in the block of a directive, nil if it is not there.
func (l *Line) Option(name string) []string {
	for _, o := range l.Block {
		if o.Name == name {
			return append([]string{}, o.Args...)
		}
	}
	return nil
}

// Parse splits a Corefile into its server blocks. What is not well-formed is read as far as it can be.
func Parse(text string) []Server {
	d := caddyfile.NewDispenser("Corefile", strings.NewReader(text))
	var servers []Server
	var keys []string
	for d.Next() {
		if d.Val() != "{" {
			keys = append(keys, strings.TrimSuffix(d.Val(), ","))
			continue
		}
		lines := block(&d)
		if len(keys) > 0 && !strings.HasPrefix(keys[0], "(") { // a snippet is no server
			servers = append(servers, server(keys, lines))
		}
		keys = nil
	}
	return servers
}

// block reads lines up to the brace that closes the block.
func block(d *caddyfile.Dispenser) []Line {
	var lines []Line
	last := -1
	for d.Next() {
		switch {
		case d.Val() == "}":
			return lines
		case d.Val() == "{" && len(lines) > 0:
			lines[len(lines)-1].Block = block(d)
			last = -1
		case d.Line() != last:
			lines, last = append(lines, Line{Name: d.Val()}), d.Line()
		default:
			l := &lines[len(lines)-1]
			l.Args = append(l.Args, d.Val())
		}
	}
	return lines
}

func server(keys []string, lines []Line) Server {
	s := Server{Lines: lines}
	for _, key := range keys {
		zone, port := address(key)
		s.Zones = append(s.Zones, zone)
		if s.Port == "" {
			s.Port = port
		}
	}
	return s
}

// address splits a key such as "dns://cluster.local:1053" into zone and port.
func address(key string) (zone, port string) {
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	zone, port = key, "53"
	if host, p, err := net.SplitHostPort(key); err == nil {
		zone, port = host, p
	}
	return Zone(zone), port
}

// Zone is a zone in the form in which zones are compared: in lower case, with one dot at the end.
func Zone(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, ".")) + "."
}

// within says whether name is zone or below it.
func within(name, zone string) bool {
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}
