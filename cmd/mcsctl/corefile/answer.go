package corefile

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// State says who answers for the zone of a clusterset.
type State string

// The states. All but Served, Forwarded and ServedByKubernetes mean that names of the zone do not resolve.
const (
	// Served: the directive multicluster answers.
	Served State = "served"
	// Forwarded: a server block of the zone sends it on.
	Forwarded State = "forwarded"
	// ServedByKubernetes: the plugin kubernetes does, by its option of the same name.
	ServedByKubernetes State = "served by kubernetes"
	// Missing: the directive is nowhere.
	Missing State = "missing"
	// Captured: the directive is there, but another server block is more specific for the zone.
	Captured State = "captured"
	// Claimed: the plugin kubernetes takes the zone for one of a cluster.
	Claimed State = "claimed"
	// OtherZone: the directive is there, for other zones.
	OtherZone State = "other zone"
)

// Answer is what a Corefile does with the names of a zone.
type Answer struct {
	State State `json:"state"`
	// Server names the server block that names of the zone fall into, as "clusterset.local.:53"; "" if there is none.
	Server string `json:"server,omitempty"`
	// To are the upstreams of a forwarded zone, or the zones that the directive has instead.
	To []string `json:"to,omitempty"`
	// Lasting is for how long clients of this CoreDNS may see an old answer.
	Lasting time.Duration `json:"-"`
}

// Works says that the Corefile gets names of the zone answered.
func (a *Answer) Works() bool {
	return a.State == Served || a.State == Forwarded || a.State == ServedByKubernetes
}

// Defaults of CoreDNS and of the plugin, in seconds.
const (
	multiclusterTTL = 5
	cacheSuccess    = 3600
	cacheMinimum    = 5
)

// Of says what becomes of the names of zone in a Corefile.
func Of(text, zone string) Answer {
	zone = Zone(zone)
	servers := dnsServers(Parse(text))
	s, own := capturing(servers, zone)
	if s == nil {
		return Answer{State: Missing}
	}
	a := Answer{State: Missing, Server: own + ":" + s.Port}
	elsewhere, others := false, []string(nil)
	for i := range servers {
		for _, l := range servers[i].Find("multicluster") {
			served := zonesOf(&l, &servers[i])
			switch {
			case !slices.Contains(served, zone):
				others = append(others, served...)
			case &servers[i] == s:
				a.State, a.Lasting = Served, lasting(s, &l)
				return a
			default:
				elsewhere = true
			}
		}
	}
	for _, l := range s.Find("kubernetes") {
		if slices.Contains(zonesOf(&l, s), zone) {
			a.State = Claimed
			if option := l.Option("multicluster"); option != nil && slices.ContainsFunc(option, func(z string) bool { return Zone(z) == zone }) {
				a.State = ServedByKubernetes
			}
			return a
		}
	}
	switch forward := s.Find("forward"); {
	case len(forward) > 0 && within(own, zone) && len(forward[0].Args) > 1:
		a.State, a.To, a.Lasting = Forwarded, forward[0].Args[1:], lasting(s, nil)
	case elsewhere:
		a.State = Captured
	case len(others) > 0:
		a.State, a.To = OtherZone, others
	}
	return a
}

// dnsServers are the server blocks that listen where the first one does; others are asked by nobody's resolv.conf.
func dnsServers(servers []Server) []Server {
	port := "53"
	if len(servers) > 0 && !slices.ContainsFunc(servers, func(s Server) bool { return s.Port == port }) {
		port = servers[0].Port
	}
	return slices.DeleteFunc(servers, func(s Server) bool { return s.Port != port })
}

// capturing returns the server block that a name below svc.<zone> falls into, the one with the longest matching zone, and
// that zone.
func capturing(servers []Server, zone string) (*Server, string) {
	var best *Server
	longest := ""
	for i := range servers {
		for _, z := range servers[i].Zones {
			if within("svc."+zone, z) && len(z) > len(longest) {
				best, longest = &servers[i], z
			}
		}
	}
	return best, longest
}

// zonesOf are the zones of a directive: its arguments, else those of the server block.
func zonesOf(l *Line, s *Server) []string {
	if len(l.Args) == 0 {
		return s.Zones
	}
	zones := make([]string, len(l.Args))
	for i, z := range l.Args {
		zones[i] = Zone(z)
	}
	return zones
}

// lasting is the longest life of an answer that passes through the server block: its TTL, as the cache of the block may
// shorten or prolong it. Without the directive itself, only what the cache adds is known.
func lasting(s *Server, directive *Line) time.Duration {
	ttl := multiclusterTTL
	if directive != nil {
		ttl = seconds(directive.Option("ttl"), 0, ttl)
	}
	for _, cache := range s.Find("cache") {
		most, least := cacheSuccess, cacheMinimum
		if len(cache.Args) > 0 {
			most = seconds(cache.Args, 0, most)
		}
		if success := cache.Option("success"); success != nil {
			most, least = seconds(success, 1, most), seconds(success, 2, least)
		}
		ttl = max(min(ttl, most), least)
	}
	return time.Duration(ttl) * time.Second
}

// seconds is the number at a place among arguments, or otherwise.
func seconds(args []string, at, otherwise int) int {
	if at >= len(args) {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSuffix(args[at], "s"))
	if err != nil {
		return otherwise
	}
	return n
}
