package plan

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// counted returns the sources as they count here. A cluster whose endpoints go unless they are the last has the last ones also
// where the others serve less than it does: not that port, or not that family (SPEC L2, M3). What was imported says so, since
// it is what can be used here, of the ports and families that this consumer has and without what was refused.
func (p *pass) counted() []Source {
	if !p.UnlessLast || p.Service == nil {
		return p.Sources
	}
	withdrawn := make(map[string]bool)
	for i := range p.Sources {
		if p.Sources[i].Withdrawn {
			withdrawn[p.Sources[i].Cluster] = true
		}
	}
	served := make(map[way]bool) // the ways that lead to a ready endpoint of the others
	for _, s := range p.own.slices {
		if cluster := s.Labels[mcsapi.LabelSourceCluster]; !withdrawn[cluster] && slices.Contains(p.Service.Clusters, cluster) && health(s) == ready {
			for _, w := range ways(s) {
				served[w] = true
			}
		}
	}
	last := func(cluster string) bool {
		return slices.ContainsFunc(p.own.slices, func(s *discoveryv1.EndpointSlice) bool {
			return s.Labels[mcsapi.LabelSourceCluster] == cluster && health(s) == ready &&
				slices.ContainsFunc(ways(s), func(w way) bool { return !served[w] })
		})
	}
	counted := make([]Source, 0, len(p.Sources))
	for _, source := range p.Sources {
		if source.Withdrawn && last(source.Cluster) {
			if p.Unsure[source.Cluster] {
				continue // what it has is not known: what is here of it stays
			}
			source.Withdrawn = false
		}
		counted = append(counted, source)
	}
	return counted
}
