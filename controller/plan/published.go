package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// routes are the names under which a port of the cluster's own slices is published here, by its own name: that on the
// derived Service as it should be, and, until that is updated, that on the Service as it is, so that a port that only
// changes its name is never without endpoints.
func (p *pass) routes(cluster string) map[string][]string {
	now, next := p.publishedNow(), p.publishedNext()
	before := bySlot(now, next)
	out := make(map[string][]string, len(next))
	for own, published := range p.Service.Routes[cluster] {
		is, served := next[published]
		if !served {
			continue // filtered out
		}
		out[own] = append([]string{published}, before[is]...)
	}
	return out
}

// slicePorts are the source's ports, as far as they are acceptable (SPEC X2), under their published names; those that no
// merged port stands for are left out.
func (p *pass) slicePorts(source *Source, from *discoveryv1.EndpointSlice, routes map[string][]string) []discoveryv1.EndpointPort {
	judge := p.judge(source, from.AddressType)
	out, taken := make([]discoveryv1.EndpointPort, 0, len(from.Ports)), make(map[string]bool, len(from.Ports))
	for i := range from.Ports {
		names := routes[portName(&from.Ports[i])]
		if len(names) == 0 {
			continue
		}
		var accepted discoveryv1.EndpointPort
		if !judge.EndpointPort(&accepted, &from.Ports[i]) {
			continue
		}
		for _, name := range names {
			if taken[name] {
				continue // no API server lets a name appear twice
			}
			taken[name] = true
			to := accepted
			to.Name, to.AppProtocol = &name, p.appProtocol(name)
			out = append(out, to)
		}
	}
	return out
}

func (p *pass) appProtocol(published string) *string {
	if p.shape.appProtocols == nil {
		p.shape.appProtocols = make(map[string]*string)
		for i := range p.shape.ports {
			if port := &p.shape.ports[i]; port.AppProtocol != "" {
				p.shape.appProtocols[port.Published] = &port.AppProtocol
			}
		}
	}
	return p.shape.appProtocols[published]
}

func portName(p *discoveryv1.EndpointPort) string {
	if p.Name == nil {
		return ""
	}
	return *p.Name
}

// republish gives the ports of a held slice, whose source is not known now, the names under which they are published from
// now on. What a name stood for is what it is on the derived Service still; until that has the new name, the port has both.
// A name that comes to stand for another port is dropped, since traffic for that must not go there (SPEC M3).
func (p *pass) republish(ports []discoveryv1.EndpointPort) []discoveryv1.EndpointPort {
	now, next := p.publishedNow(), p.publishedNext()
	after, has := bySlot(next, now), make(map[string]bool, len(ports))
	for i := range ports {
		has[portName(&ports[i])] = true
	}
	out := make([]discoveryv1.EndpointPort, 0, len(ports))
	for _, port := range ports {
		if !acceptablePort(&port) {
			continue // an earlier version carried it
		}
		name := portName(&port)
		was, onService := now[name]
		is, stays := next[name]
		switch {
		case stays && (!onService || was == is):
			out = append(out, port)
		case !stays && onService:
			out = append(out, port)
			for _, renamed := range after[was] {
				if !has[renamed] {
					alias := port
					alias.Name = &renamed
					out = append(out, alias)
				}
			}
		}
	}
	return out
}

// slot is what a port is whatever its name.
type slot struct {
	protocol corev1.Protocol
	number   int32
}

// publishedNow are the ports of the derived Service as it is, by name; publishedNext as it should be.
func (p *pass) publishedNow() map[string]slot {
	out := make(map[string]slot)
	if p.own.derived != nil {
		for i := range p.own.derived.Spec.Ports {
			port := &p.own.derived.Spec.Ports[i]
			out[port.Name] = slot{port.Protocol, port.Port}
		}
	}
	return out
}

func (p *pass) publishedNext() map[string]slot {
	out := make(map[string]slot, len(p.shape.ports))
	for i := range p.shape.ports {
		port := &p.shape.ports[i]
		out[port.Published] = slot{port.Protocol, port.Number}
	}
	return out
}

// bySlot returns the names in one list of published ports that are not in another, by what they stand for, sorted.
func bySlot(published, without map[string]slot) map[slot][]string {
	out := make(map[slot][]string)
	for name, is := range published {
		if _, there := without[name]; !there {
			out[is] = append(out[is], name)
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}
