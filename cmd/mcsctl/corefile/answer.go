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
	// TTL is that of the answers where the State is Served, and otherwise 0.
	TTL time.Duration `json:"-"`
	// Cached are the kinds of answers, "success" and "denial", that a cache in the server block keeps (SPEC D18). Even one that
	// respects the TTL gives out addresses of pods that are gone.
	Cached []string `json:"cached,omitempty"`
	// Unbalanced says that the server block lacks loadbalance (SPEC D18).
	Unbalanced bool `json:"unbalanced,omitempty"`
}

// Works says that the Corefile gets names of the zone answered.
func (a *Answer) Works() bool {
	return a.State == Served || a.State == Forwarded || a.State == ServedByKubernetes
}

// defaultTTL is that of the plugin, in seconds.
const defaultTTL = 5

// Of says what becomes of the names of zone in a Corefile.
func Of(text, zone string) Answer {
	zone = Zone(zone)
	servers := dnsServers(Parse(text))
	s, own := capturing(servers, zone)
	if s == nil {
		return Answer{State: Missing}
	}
	a := Answer{State: Missing, Server: own + ":" + s.Port, Cached: cached(s, zone), Unbalanced: len(s.Find("loadbalance")) == 0}
	elsewhere, others := false, []string(nil)
	for i := range servers {
		for _, l := range servers[i].Find("multicluster") {
			served := zonesOf(&l, &servers[i])
			switch {
			case !slices.Contains(served, zone):
				others = append(others, served...)
			case &servers[i] == s:
				a.State, a.TTL = Served, time.Duration(seconds(l.Option("ttl"), defaultTTL))*time.Second
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
		a.State, a.To = Forwarded, forward[0].Args[1:]
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

// cached are the kinds of answers of the zone that the cache of a server block keeps; with several, CoreDNS does not start.
func cached(s *Server, zone string) (kinds []string) {
	for _, cache := range s.Find("cache") {
		args := cache.Args
		if len(args) > 0 {
			if _, err := strconv.Atoi(args[0]); err == nil {
				args = args[1:] // its TTL
			}
		}
		zones := zonesOf(&Line{Args: args}, s)
		if !slices.ContainsFunc(zones, func(z string) bool { return within(zone, z) || within(z, zone) }) {
			continue
		}
		for _, kind := range []string{"success", "denial"} {
			if !disabled(&cache, kind, zone) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

// disabled says whether a cache has a kind of answers disabled for the zone. Of several lines for a kind, the last counts.
func disabled(cache *Line, kind, zone string) (off bool) {
	for _, o := range cache.Block {
		if o.Name == "disable" && len(o.Args) > 0 && o.Args[0] == kind {
			zones := o.Args[1:]
			off = len(zones) == 0 || slices.ContainsFunc(zones, func(z string) bool { return within(zone, Zone(z)) })
		}
	}
	return off
}

// seconds is the number in the arguments of an option, or otherwise.
func seconds(args []string, otherwise int) int {
	if len(args) == 0 {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSuffix(args[0], "s"))
	if err != nil {
		return otherwise
	}
	return n
}
