package plan

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Preference (SPEC P3): every imported slice says in an annotation how far down its cluster stands in the order of preference,
// from which DNS answers headless names, failing over by itself. What is reached by the derived Service is chosen here: only
// the slices of the most preferred clusters that have a ready endpoint are in use, which takes one small write per slice when
// that changes.
//
// A slice that is not in use is in reserve: it has neither of the labels by which kube-proxy, gateways and meshes find the slices
// of a Service or of a ServiceImport, but [mcsapi.LabelReserve], which our DNS reads (SPEC G1), and the label of headless ones.
// Removing labels alone would not do: kube-proxy keeps what it knows of a slice that loses its Service's name, but forgets one
// that comes to be headless, since its watch leaves those out.

// preferred are the clusters whose endpoints are used first, in order: by the import, else the exports, else the flag.
func (p *pass) preferred() []string {
	if ids := mcsapi.ClustersIn(p.Import.Annotations, mcsapi.AnnotationPrefer); ids != nil {
		return ids
	}
	if p.Service.Prefer != nil {
		return p.Service.Prefer
	}
	return p.Prefer
}

// ranked says whether some clusters are preferred to others.
func (p *pass) ranked() bool { return len(p.preferred()) > 0 }

// ranks gives the place of a cluster in the order of preference, from 0 on; those that are not in it come last, together.
// Places don't depend on who exports, so that they stay while others come and go.
func (p *pass) ranks() func(cluster string) int {
	order := p.preferred()
	if len(order) == 0 {
		return func(string) int { return 0 }
	}
	places := make(map[string]int, len(order))
	for place, id := range order {
		if id == mcsapi.PreferLocal {
			id = p.Cluster
		}
		if _, named := places[id]; !named {
			places[id] = place
		}
	}
	return func(cluster string) int {
		if place, named := places[cluster]; named {
			return place
		}
		return len(order)
	}
}

// prefer ranks the slices, and takes those out of use to which others are preferred.
func (p *pass) prefer(targets []target) {
	rank := p.ranks()
	best := make(map[way]standing)
	for i := range targets {
		setRank(targets[i].to, rank(targets[i].to.Labels[mcsapi.LabelSourceCluster]))
	}
	if !p.ranked() {
		return
	}
	place := func(t *target) standing {
		return standing{health(t.to), rank(t.to.Labels[mcsapi.LabelSourceCluster])}
	}
	for i := range targets {
		s := place(&targets[i])
		for _, w := range ways(targets[i].to) {
			if s.before(best[w]) {
				best[w] = s
			}
		}
	}
	for i := range targets {
		t := &targets[i]
		mine := place(t).rank
		chosen := func(w way) bool { return best[w].rank == mine }
		if !slices.ContainsFunc(ways(t.to), chosen) {
			p.reserve(t.to)
		}
	}
}

// reserve takes a slice out of use. Its labels are a map of its own, made by label.
func (p *pass) reserve(s *discoveryv1.EndpointSlice) {
	delete(s.Labels, discoveryv1.LabelServiceName)
	delete(s.Labels, mcsapi.LabelServiceName)
	s.Labels[mcsapi.LabelReserve] = p.Key.Name
	s.Labels[corev1.IsHeadlessService] = ""
}

// uses says whether the derived Service is served from the slice.
func (p *pass) uses(s *discoveryv1.EndpointSlice) bool {
	return s.Labels[discoveryv1.LabelServiceName] == p.derived
}

// The turns in which slices are written: no port may be without endpoints while another cluster's slices take over, be it
// that the preferred have no ready endpoint any more, or not that port.
const (
	comesIntoUse = iota
	staysAsItIs
	goesOutOfUse
)

func (p *pass) turn(t *target) int {
	switch {
	case t.held == nil || p.uses(t.held) == p.uses(t.to):
		return staysAsItIs
	case p.uses(t.to):
		return comesIntoUse
	}
	return goesOutOfUse
}

// standing is what decides which of several slices are used: the better health first, then the lower rank. Its zero value is
// that of no slice.
type standing struct{ health, rank int }

func (s standing) before(o standing) bool {
	return s.health > o.health || s.health == o.health && s.rank < o.rank
}

// The health of a slice is that of its best endpoint. Where nobody is ready, kube-proxy falls back to those that still serve
// while they terminate.
const (
	silent = iota + 1
	serving
	ready
)

func health(s *discoveryv1.EndpointSlice) int {
	best := silent
	for i := range s.Endpoints {
		c := &s.Endpoints[i].Conditions
		isReady := c.Ready == nil || *c.Ready
		switch {
		case isReady:
			return ready
		case c.Serving != nil && *c.Serving:
			best = serving
		}
	}
	return best
}

// way is one by which traffic gets to a slice: a port of its family, or no port.
type way struct {
	family   discoveryv1.AddressType
	port     string
	portless bool
}

// ways are those of a slice. Each is judged by itself, because a cluster that is preferred may lack a port that others have (SPEC M3).
func ways(s *discoveryv1.EndpointSlice) []way {
	if len(s.Ports) == 0 {
		return []way{{family: s.AddressType, portless: true}}
	}
	out := make([]way, len(s.Ports))
	for i := range s.Ports {
		out[i] = way{family: s.AddressType, port: portName(&s.Ports[i])}
	}
	return out
}

// setRank notes a rank on a slice; 0 is not noted.
func setRank(s *discoveryv1.EndpointSlice, rank int) {
	want := ""
	if rank > 0 {
		want = strconv.Itoa(rank)
	}
	if s.Annotations[mcsapi.AnnotationRank] == want {
		return
	}
	s.Annotations = maps.Clone(s.Annotations)
	if s.Annotations == nil {
		s.Annotations = make(map[string]string, 1)
	}
	put(s.Annotations, mcsapi.AnnotationRank, want)
}
