package plan

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// doubtful says whether a cluster of which nothing is known now may be one that this service is made of without counting
// in the merge. Then nothing may be deleted or replaced on the ground of the merge (SPEC L6, L9).
func (p *pass) doubtful() bool { return len(p.doubted()) > 0 }

// doubted are those clusters, sorted.
func (p *pass) doubted() (clusters []string) {
	unknown := func(cluster string) bool {
		return p.Unsure[cluster] && (p.Service == nil || !slices.Contains(p.Service.Clusters, cluster))
	}
	if !slices.ContainsFunc(sorted(p.Unsure), unknown) {
		return nil // the common case, without a look at what is remembered
	}
	for cluster := range p.involved() {
		if unknown(cluster) {
			clusters = append(clusters, cluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}

// holdStill is for a service that a cluster of which nothing is known now may be part of, without being in the merge. The
// import and the derived Service stay as they are. So do slices, but those of clusters that are known: what they have
// changed is carried over where they still take part, and they go where they don't (SPEC L3, L6, L9).
func (p *pass) holdStill() []Action {
	var add, gone []Action
	if p.Service != nil && p.own.derived != nil {
		p.shape = p.decide()
		if p.shape.served && p.replaces() == "" {
			add, gone = p.planSlices()
		}
	}
	for _, s := range p.own.slices {
		if cluster := s.Labels[mcsapi.LabelSourceCluster]; p.Service == nil && !p.Unsure[cluster] {
			gone = remove(gone, s, cluster+" no longer exports the service")
		}
	}
	if actions := append(add, gone...); len(actions) > 0 {
		return actions
	}
	if held, ok := p.heldBack(); ok {
		if status, ok := p.writeConditions(p.clusters(), nil, []report{held}); ok {
			return []Action{status}
		}
		return nil
	}
	if clusters, ok := p.patchClusters(); ok {
		return []Action{clusters}
	}
	return nil
}

// heldBack reports the clusters that the service waits for: those whose last known export is too long to be remembered, and
// others that have been out of reach for the grace period. It says what [pass.unreachable] does, too. A cluster that was not read
// yet after a restart of the controller is no news, if its export is remembered.
func (p *pass) heldBack() (report, bool) {
	truncated := make(map[string]bool)
	remembered, err := Remembered(p.Import)
	if err == nil {
		for i := range remembered {
			truncated[remembered[i].Cluster] = remembered[i].Truncated
		}
	}
	var tooLong, forgotten []string
	for _, cluster := range p.doubted() {
		switch {
		case truncated[cluster]:
			tooLong = append(tooLong, cluster)
		case p.Unreachable[cluster]:
			forgotten = append(forgotten, cluster)
		}
	}
	var messages []string
	for _, part := range []struct {
		clusters []string
		why      string
	}{{tooLong, "is too long to be remembered"}, {forgotten, "is not remembered"}} {
		if len(part.clusters) > 0 {
			messages = append(messages, fmt.Sprintf("%s: not known what it exports now, and its last known export %s",
				strings.Join(few(part.clusters), ", "), part.why))
		}
	}
	if len(messages) == 0 {
		return report{}, false
	}
	reasons := []string{ServiceKept}
	said := strings.Join(messages, "; ") + "; type, ports and addresses of the service stay as they are until the cluster can be read again, " +
		"or is removed with mcsctl leave"
	if other, ok := p.unreachable(); ok {
		reasons, said = append(reasons, other.reason), said+"; "+other.message
	}
	return report{ConditionUnreachable, metav1.ConditionTrue, strings.Join(reasons, ","), said, warning}, true
}
