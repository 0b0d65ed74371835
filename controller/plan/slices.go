package plan

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// target is an imported slice as it is to be.
type target struct {
	to   *discoveryv1.EndpointSlice
	held *discoveryv1.EndpointSlice // nil if there is none yet
	from *discoveryv1.EndpointSlice // nil if its source is not known now
}

// planSlices mirrors every source slice into one of its own: what is to be written first, and what is to be removed.
// Nothing is repacked, so that one changed slice costs one write (SPEC S5).
func (p *pass) planSlices() (add, remove []Action) {
	targets, remove := p.targets()
	p.prefer(targets)
	for _, turn := range []int{comesIntoUse, staysAsItIs, goesOutOfUse} {
		for i := range targets {
			if t := &targets[i]; p.turn(t) == turn {
				if a, ok := p.write(t); ok {
					add = append(add, a)
				}
			}
		}
	}
	return add, remove
}

// targets are the slices as they are to be, but for preference, and the removal of those that are not to be.
func (p *pass) targets() (targets []target, gone []Action) {
	held := make(map[string]*discoveryv1.EndpointSlice, len(p.own.slices))
	for _, s := range p.own.slices {
		held[s.Name] = s
	}
	wanted := make(map[string]bool, len(p.own.slices))
	known := make(map[string]*Source, len(p.Sources))
	for i := range p.Sources {
		source := &p.Sources[i]
		known[source.Cluster] = source
		if source.Withdrawn || !slices.Contains(p.Service.Clusters, source.Cluster) {
			continue
		}
		routes := p.routes(source.Cluster)
		if p.withholds(source, routes) {
			p.withheld[source.Cluster] = true
			continue
		}
		if source.Further != "" {
			p.refused.add(source.Cluster, furtherSlices, source.Further)
		}
		budget := budgetOf{p: p, cluster: source.Cluster}
		for _, from := range inOrder(source.Slices) {
			if !p.mirrors(from, routes) {
				p.reportUnused(source, from, routes)
				continue
			}
			name := SliceName(p.derived, source.Cluster, from.Name, from.AddressType)
			if p.Taken[name] && held[name] == nil {
				p.refused.add(source.Cluster, "slice "+from.Name, "an EndpointSlice "+name+" that this controller did not create is in the way; delete it")
				continue
			}
			if !budget.has(from) {
				continue
			}
			t := p.mirror(source, from, held[name], name, routes)
			if accept.TooLarge(t.to) {
				p.refused.add(source.Cluster, "slice "+from.Name, fmt.Sprintf("more than %d KiB", accept.MaxSliceBytes>>10))
				continue
			}
			wanted[name] = true
			targets = append(targets, t)
		}
	}
	for _, s := range p.own.slices {
		if wanted[s.Name] {
			continue
		}
		switch why := p.leftover(s, known); {
		case why != "":
			gone = remove(gone, s, why)
		case keep.Refused(s) == "": // else its endpoints are not known
			targets = append(targets, p.keep(s))
		}
	}
	return targets, gone
}

// furtherSlices are those that a cluster has no room for under the name.
const furtherSlices = "its further slices"

// budgetOf counts what a cluster has under the name.
type budgetOf struct {
	p       *pass
	cluster string
	told    bool

	slices, endpoints, ports int
}

// has takes room for one more slice, if there is enough.
func (b *budgetOf) has(s *discoveryv1.EndpointSlice) bool {
	weight := keep.Weigh(s)
	endpoints, ports := int(weight[1]), int(weight[2])
	if b.slices == keep.MaxSlices || b.endpoints+endpoints > keep.MaxEndpoints || b.ports+ports > keep.MaxSlicePorts {
		if !b.told {
			b.told = true
			b.p.refused.add(b.cluster, furtherSlices, keep.FurtherSlices(0))
		}
		return false
	}
	b.slices, b.endpoints, b.ports = b.slices+1, b.endpoints+endpoints, b.ports+ports
	return true
}

// write is the write that makes t so, if one is due.
func (p *pass) write(t *target) (Action, bool) {
	cluster := t.to.Labels[mcsapi.LabelSourceCluster]
	switch {
	case t.held == nil:
		return Action{Verb: Create, Object: t.to, Reason: fmt.Sprintf("%s has slice %s", cluster, t.from.Name)}, true
	case sameSlice(t.held, t.to):
		return Action{}, false
	}
	return Action{Verb: Update, Object: t.to, Reason: p.whyUpdate(cluster, t)}, true
}

// withholds says whether a lost cluster's endpoints, which would be imported, were withdrawn before: the status, which is
// written last, lists it, but it has no slice.
func (p *pass) withholds(source *Source, routes map[string][]string) bool {
	return source.Lost && slices.Contains(clusterNames(&p.Import.Status), source.Cluster) &&
		!slices.ContainsFunc(p.own.slices, func(s *discoveryv1.EndpointSlice) bool {
			return s.Labels[mcsapi.LabelSourceCluster] == source.Cluster
		}) &&
		slices.ContainsFunc(source.Slices, func(s *discoveryv1.EndpointSlice) bool { return p.mirrors(s, routes) })
}

// inOrder returns list sorted by name, so that a plan does not depend on the order in which a cache returns objects.
func inOrder(list []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	if slices.IsSortedFunc(list, byName) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), byName)
}

// leftover says why a held slice goes that mirrors nothing that is known; "" if it stays, because it is not known now what
// its cluster has.
func (p *pass) leftover(s *discoveryv1.EndpointSlice, known map[string]*Source) string {
	cluster := s.Labels[mcsapi.LabelSourceCluster]
	source := known[cluster]
	switch {
	case !p.Unsure[cluster] && !slices.Contains(p.Service.Clusters, cluster):
		return cluster + " no longer exports the service"
	case source != nil && source.Withdrawn:
		return cluster + " is unreachable; its endpoints are withdrawn"
	case source != nil:
		return cluster + " no longer has the slice"
	}
	return ""
}

// keep is a leftover slice with its endpoints as they are, but in the hands of the import that is there now, or it would be
// collected with the one that was.
func (p *pass) keep(s *discoveryv1.EndpointSlice) target {
	cluster := s.Labels[mcsapi.LabelSourceCluster]
	kept := s.DeepCopy()
	p.label(kept, cluster)
	if p.own.derived != nil && slices.Contains(p.Service.Clusters, cluster) {
		kept.Ports = p.republish(s.Ports)
	}
	return target{to: kept, held: s}
}

// mirrors says whether a source slice is imported: one of endpoints of a family that is served here (SPEC S3), which is
// not itself imported (SPEC X4), and which has a port to send traffic to, since there is no other use of a slice but in a
// headless service (SPEC M3).
func (p *pass) mirrors(from *discoveryv1.EndpointSlice, routes map[string][]string) bool {
	if imported(from) || !slices.Contains(p.shape.families, corev1.IPFamily(from.AddressType)) {
		return false
	}
	return p.shape.headless || slices.ContainsFunc(from.Ports, func(port discoveryv1.EndpointPort) bool {
		return len(routes[portName(&port)]) > 0 && acceptablePort(&port)
	})
}

// imported says whether a slice is itself one that was imported.
func imported(s *discoveryv1.EndpointSlice) bool {
	_, from := s.Labels[mcsapi.LabelSourceCluster]
	return from
}

// mirror is a slice that mirrors from.
func (p *pass) mirror(source *Source, from, held *discoveryv1.EndpointSlice, name string, routes map[string][]string) target {
	to := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: p.Key.Namespace, Name: name}}
	switch {
	case held == nil:
	case keep.Refused(held) != "": // of what others put on it nothing is kept
		to.UID, to.ResourceVersion = held.UID, held.ResourceVersion
	default:
		to.ObjectMeta = held.ObjectMeta // shared: label and rank replace what they change
	}
	to.AddressType = from.AddressType
	to.Ports = p.slicePorts(source, from, routes)
	to.Endpoints = p.endpoints(source, from)
	p.label(to, source.Cluster)
	return target{to: to, held: held, from: from}
}

// whyUpdate says what of a mirrored slice is to change.
func (p *pass) whyUpdate(cluster string, t *target) string {
	switch was, is := p.uses(t.held), p.uses(t.to); {
	case !slices.EqualFunc(t.held.Endpoints, t.to.Endpoints, sameEndpoint):
		return fmt.Sprintf("slice %s of %s has other endpoints", t.from.Name, cluster)
	case !apiequality.Semantic.DeepEqual(t.held.Ports, t.to.Ports):
		return "its ports are published otherwise"
	case !apiequality.Semantic.DeepEqual(t.held.OwnerReferences, t.to.OwnerReferences):
		return reasonReown
	case is && p.ranked() && !was:
		return cluster + " is the most preferred that has ready endpoints"
	case was && !is:
		return "a cluster that is preferred to " + cluster + " has ready endpoints"
	case t.held.Annotations[mcsapi.AnnotationRank] != t.to.Annotations[mcsapi.AnnotationRank]:
		return "the order of preference is another"
	}
	return "its labels are not those of an imported slice"
}

// reasonReown is why a slice is written that outlived the import which it belonged to.
const reasonReown = "to belong to the present ServiceImport"

// label gives s the labels and the owner of an imported slice (SPEC S1). Labels that others put on it stay; those of the
// source slice never came.
func (p *pass) label(s *discoveryv1.EndpointSlice, cluster string) {
	labels := maps.Clone(s.Labels)
	if labels == nil {
		labels = make(map[string]string, 6)
	}
	labels[mcsapi.LabelServiceName] = p.Key.Name
	delete(labels, mcsapi.LabelReserve)
	labels[mcsapi.LabelSourceCluster] = cluster
	labels[mcsapi.LabelClusterSet] = p.ClusterSet
	labels[discoveryv1.LabelServiceName] = p.derived
	labels[discoveryv1.LabelManagedBy] = mcsapi.ManagedBy
	delete(labels, corev1.IsHeadlessService)
	if p.shape.headless {
		labels[corev1.IsHeadlessService] = ""
	}
	s.Labels = labels
	s.OwnerReferences = p.owned(s.OwnerReferences)
}

// endpoints are the source's, as far as they are acceptable (SPEC S2, X2), with hints made of their zones. What is left out
// is noted.
func (p *pass) endpoints(source *Source, from *discoveryv1.EndpointSlice) []discoveryv1.Endpoint {
	judge := p.judge(source, from.AddressType)
	hinted := knownDistribution(p.Service.TrafficDistribution)
	out := make([]discoveryv1.Endpoint, 0, min(len(from.Endpoints), maxEndpoints+1))
	for i := range from.Endpoints {
		out = append(out, discoveryv1.Endpoint{})
		to := &out[len(out)-1]
		if !judge.Endpoint(to, &from.Endpoints[i]) {
			out = out[:len(out)-1]
			continue
		}
		if len(out) > maxEndpoints {
			out = out[:maxEndpoints]
			p.refused.add(source.Cluster, fmt.Sprintf("%d endpoints of slice %s", len(from.Endpoints)-i, from.Name), "too many")
			break
		}
		if hinted && to.Zone != nil && *to.Zone != "" {
			to.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: *to.Zone}}}
		}
	}
	return out
}

func sameSlice(a, b *discoveryv1.EndpointSlice) bool {
	return a.AddressType == b.AddressType && maps.Equal(a.Labels, b.Labels) &&
		a.Annotations[mcsapi.AnnotationRank] == b.Annotations[mcsapi.AnnotationRank] &&
		apiequality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) &&
		apiequality.Semantic.DeepEqual(a.Ports, b.Ports) && slices.EqualFunc(a.Endpoints, b.Endpoints, sameEndpoint)
}

// sameEndpoint compares field by field, because there are many endpoints and reflection is ten times as slow.
func sameEndpoint(a, b discoveryv1.Endpoint) bool {
	return slices.Equal(a.Addresses, b.Addresses) &&
		same(a.Conditions.Ready, b.Conditions.Ready) &&
		same(a.Conditions.Serving, b.Conditions.Serving) &&
		same(a.Conditions.Terminating, b.Conditions.Terminating) &&
		same(a.Hostname, b.Hostname) && same(a.NodeName, b.NodeName) && same(a.Zone, b.Zone) &&
		same(a.TargetRef, b.TargetRef) && maps.Equal(a.DeprecatedTopology, b.DeprecatedTopology) &&
		sameHints(a.Hints, b.Hints)
}

func sameHints(a, b *discoveryv1.EndpointHints) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.ForZones, b.ForZones) && slices.Equal(a.ForNodes, b.ForNodes)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
