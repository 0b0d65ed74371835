package merge

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// endpoint of a transport: what must be unique on a Service beside the port's name.
type slot struct {
	protocol corev1.Protocol
	number   int32
}

func (p *Port) slot() slot { return slot{p.Protocol, p.Number} }

// String is the port for people, such as "80/TCP".
func (p Port) String() string {
	return strconv.Itoa(int(p.Number)) + "/" + string(p.Protocol)
}

// offer is a port together with the export that brings it.
type offer struct {
	Port
	by int // index into the exports, by precedence
}

// clash is a port that lost to an older one and is not served as its cluster has it.
type clash struct {
	winner, loser offer
	sameName      bool // else they share protocol and number
}

// union merges the ports of exports, which are sorted by precedence: first those of one name, then those of one protocol
// and number, the older winning each time (SPEC M2). Being without a name is a name like any other here, because a Service
// may have one such port: two unnamed ports with different numbers clash.
//
// The two rounds are separate on purpose. Were a name free again once its port was absorbed by another name, a third
// cluster's number would be served under it, and change when the first cluster leaves.
func union(exports []Export) (ports []offer, clashes []clash) {
	byName := make(map[string]int)
	var named []offer
	for by := range exports {
		for _, p := range exports[by].Ports {
			o := offer{p, by}
			if at, taken := byName[p.Name]; !taken {
				byName[p.Name] = len(named)
				named = append(named, o)
			} else if first := named[at]; first.slot() != p.slot() {
				clashes = append(clashes, clash{first, o, true})
			}
		}
	}
	bySlot := make(map[slot]int, len(named))
	for _, o := range named {
		if at, taken := bySlot[o.slot()]; taken {
			clashes = append(clashes, clash{ports[at], o, false})
			continue
		}
		bySlot[o.slot()] = len(ports)
		ports = append(ports, o)
	}
	return ports, clashes
}

// publish gives every port its name on the derived Service, where names are required as soon as there are two ports.
func publish(ports []Port) {
	taken := make(map[string]bool, len(ports))
	for _, p := range ports {
		taken[p.Name] = true
	}
	for i := range ports {
		p := &ports[i]
		p.Published = p.Name
		if p.Name != "" || len(ports) == 1 {
			continue
		}
		base := strconv.Itoa(int(p.Number)) + "-" + strings.ToLower(string(p.Protocol))
		p.Published = base
		for n := 2; taken[p.Published]; n++ {
			p.Published = base + "-" + strconv.Itoa(n)
		}
	}
}

// route says which of a cluster's own ports serve which merged port: the one with its protocol and number, whatever the
// name. A port of the same name with another number is another port, and gets no traffic (SPEC M3).
func route(own, merged []Port) map[string]string {
	published := make(map[slot]string, len(merged))
	for i := range merged {
		published[merged[i].slot()] = merged[i].Published
	}
	routes := make(map[string]string, len(own))
	for i := range own {
		if name, served := published[own[i].slot()]; served {
			routes[own[i].Name] = name
		}
	}
	return routes
}
