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

// clash is a port with those that lost to it and are not served as their clusters have them, by precedence.
type clash struct {
	winner   offer
	losers   []offer
	sameName bool // else they share protocol and number
}

// union merges the ports of exports, which are sorted by precedence: first those of one name, then those of one protocol
// and number, the older winning each time (SPEC M2). Being without a name is a name like any other here, because a Service
// may have one such port: two unnamed ports with different numbers clash.
//
// The two rounds are separate on purpose. Were a name free again once its port was absorbed by another name, a third
// cluster's number would be served under it, and change when the first cluster leaves.
func union(exports []Export) (ports []offer, clashes []clash) {
	var all []offer
	for by := range exports {
		for _, p := range exports[by].Ports {
			all = append(all, offer{p, by})
		}
	}
	ports, names := first(all, func(o *offer) string { return o.Name })
	ports, slots := first(ports, func(o *offer) slot { return o.slot() })
	for i := range names {
		names[i].sameName = true
	}
	return ports, append(names, slots...)
}

// first returns the first of offers under every key, and for each of them the later ones that are other ports.
func first[K comparable](offers []offer, key func(*offer) K) (kept []offer, clashes []clash) {
	at := make(map[K]int, len(offers)) // in kept
	lost := make(map[int][]offer)      // by place in kept
	for i := range offers {
		o := &offers[i]
		k := key(o)
		place, taken := at[k]
		switch {
		case !taken:
			at[k] = len(kept)
			kept = append(kept, *o)
		case kept[place].Name != o.Name || kept[place].slot() != o.slot():
			lost[place] = append(lost[place], *o)
		}
	}
	for place := range kept {
		if losers := lost[place]; losers != nil {
			clashes = append(clashes, clash{winner: kept[place], losers: losers})
		}
	}
	return kept, clashes
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

// portIndex finds the ports of one export: two loops over the ports of each of twenty clusters took seconds for a thousand ports
// (SPEC X6).
type portIndex struct {
	ports map[Port]bool
	names map[string]bool
	slots map[slot][]int // places in the export's list
	n     int
}

func indexPorts(exports []Export) []portIndex {
	index := make([]portIndex, len(exports))
	for i := range exports {
		list := exports[i].Ports
		index[i] = portIndex{make(map[Port]bool, len(list)), make(map[string]bool, len(list)), make(map[slot][]int, len(list)), len(list)}
		for at := range list {
			p := &list[at]
			index[i].ports[*p], index[i].names[p.Name] = true, true
			index[i].slots[p.slot()] = append(index[i].slots[p.slot()], at)
		}
	}
	return index
}

// equal reports whether two exports have the same ports, in whatever order.
func (x *portIndex) equal(other *portIndex) bool {
	if x.n != other.n {
		return false
	}
	for p := range x.ports {
		if !other.ports[p] {
			return false
		}
	}
	return true
}
