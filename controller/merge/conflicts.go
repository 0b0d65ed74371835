package merge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// property is a global property in which exports may disagree, the first export being right.
type property struct {
	field  string
	reason mcs.ServiceExportConditionReason
	// same compares the winner w with another export.
	same func(w, other *Export) bool
	show func(e *Export) string
}

var globalProperties = []property{
	{"type", mcs.ServiceExportReasonTypeConflict,
		func(w, o *Export) bool { return w.Headless == o.Headless },
		func(e *Export) string { return string(e.Type()) }},
	{"sessionAffinity", mcs.ServiceExportReasonSessionAffinityConflict,
		func(w, o *Export) bool { return w.SessionAffinity == o.SessionAffinity },
		func(e *Export) string { return string(e.SessionAffinity) }},
	{"sessionAffinityConfig.clientIP.timeoutSeconds", mcs.ServiceExportReasonSessionAffinityConfigConflict,
		// Without ClientIP there is no timeout to disagree on; that the affinities differ is reported as such.
		func(w, o *Export) bool {
			return w.AffinityTimeout == nil || o.AffinityTimeout == nil || *w.AffinityTimeout == *o.AffinityTimeout
		},
		func(e *Export) string { return fmt.Sprint(*e.AffinityTimeout) }},
	{"internalTrafficPolicy", mcs.ServiceExportReasonInternalTrafficPolicyConflict,
		func(w, o *Export) bool { return w.InternalTrafficPolicy == o.InternalTrafficPolicy },
		func(e *Export) string { return string(e.InternalTrafficPolicy) }},
	{"trafficDistribution", mcs.ServiceExportReasonTrafficDistributionConflict,
		func(w, o *Export) bool { return SameDistribution(w.TrafficDistribution, o.TrafficDistribution) },
		func(e *Export) string { return orNone(e.TrafficDistribution) }},
	{"exportedLabels", mcs.ServiceExportReasonLabelsConflict,
		func(w, o *Export) bool { return maps.Equal(w.Labels, o.Labels) },
		func(e *Export) string { return showMap(e.Labels) }},
	{"exportedAnnotations", mcs.ServiceExportReasonAnnotationsConflict,
		func(w, o *Export) bool { return maps.Equal(w.Annotations, o.Annotations) },
		func(e *Export) string { return showMap(e.Annotations) }},
}

// Type is the type that a ServiceImport of s has (SPEC A6).
func (s *Service) Type() mcs.ServiceImportType {
	if s.Headless {
		return mcs.Headless
	}
	return mcs.ClusterSetIP
}

// SameDistribution says whether two values of trafficDistribution mean the same: PreferClose is the deprecated name of
// PreferSameZone.
func SameDistribution(a, b string) bool {
	canonical := func(d string) string {
		if d == corev1.ServiceTrafficDistributionPreferClose {
			return corev1.ServiceTrafficDistributionPreferSameZone
		}
		return d
	}
	return canonical(a) == canonical(b)
}

// conflicts compares exports, sorted by precedence, in every property but the ports and the IP families, which do not
// follow one winner.
func conflicts(exports []Export) []Conflict {
	var out []Conflict
	winner := &exports[0]
	for _, p := range globalProperties {
		var losers []int
		for i := 1; i < len(exports); i++ {
			if !p.same(winner, &exports[i]) {
				losers = append(losers, i)
			}
		}
		if len(losers) == 0 {
			continue
		}
		out = append(out, Conflict{p.reason, fmt.Sprintf("%s: %s from %s (oldest export) wins over %s; %s",
			p.field, p.show(winner), winner.Cluster, others(exports, losers, p.show), ratio(losers, exports))})
	}
	return out
}

// portConflict reports every difference between the sets of ports (SPEC M2), or nil.
func portConflict(exports []Export, merged []offer, clashes []clash) *Conflict {
	same := func(e Export) bool { return slices.Equal(e.Ports, exports[0].Ports) }
	if !slices.ContainsFunc(exports[1:], func(e Export) bool { return !same(e) }) {
		return nil // the common case, without an index
	}
	index := indexPorts(exports)
	var losers []int
	for i := 1; i < len(exports); i++ {
		if !index[0].equal(&index[i]) {
			losers = append(losers, i)
		}
	}
	if len(losers) == 0 {
		return nil
	}
	clauses := make([]string, 0, len(clashes)+len(merged))
	for _, c := range clashes {
		clause := "" // of those that are only counted
		if len(clauses) < maxListed {
			clause = c.say(exports, index)
		}
		clauses = append(clauses, clause)
	}
	for i := range merged {
		clauses = partial(clauses, exports, index, &merged[i])
	}
	return &Conflict{mcs.ServiceExportReasonPortConflict, few(clauses, "; ") + "; " + ratio(losers, exports)}
}

func (c *clash) say(exports []Export, index []portIndex) string {
	w := &c.winner
	if !c.sameName {
		return fmt.Sprintf("port %s: name %s from %s wins over %s", w.Port, orNone(w.Name), w.from(exports), otherNames(exports, index, w))
	}
	losers := make([]string, len(c.losers))
	for i, l := range c.losers {
		losers[i] = l.String() + " of " + exports[l.by].Cluster
	}
	return fmt.Sprintf("%s: %s from %s wins over %s", w.title(), w.Port, w.from(exports), few(losers, ", "))
}

// otherNames lists what clusters call the port that do not call it as the winner does.
func otherNames(exports []Export, index []portIndex, winner *offer) string {
	var losers []int
	called := make(map[string]string)
	for i := range exports {
		for _, at := range index[i].slots[winner.slot()] {
			if name := exports[i].Ports[at].Name; name != winner.Name {
				losers, called[exports[i].Cluster] = append(losers, i), orNone(name)
				break
			}
		}
	}
	return others(exports, losers, func(e *Export) string { return called[e.Cluster] })
}

// from names the cluster that brings the port, and why it prevails.
func (o *offer) from(exports []Export) string {
	if o.by == 0 {
		return exports[0].Cluster + " (oldest export)"
	}
	return exports[o.by].Cluster + " (older export)"
}

func (p *Port) title() string {
	if p.Name == "" {
		return "port without a name"
	}
	return "port " + p.Name
}

// partial adds which clusters do not expose a merged port at all, and which expose it with another appProtocol. Clusters that clash in
// it are told of by the clash. Clauses that are only counted are empty.
func partial(clauses []string, exports []Export, index []portIndex, port *offer) []string {
	var without, app []int
	for i := range exports {
		at := index[i].slots[port.slot()]
		switch {
		case len(at) > 0 && exports[i].Ports[at[0]].AppProtocol != port.AppProtocol:
			app = append(app, i)
		case len(at) == 0 && !index[i].names[port.Name]:
			without = append(without, i)
		}
	}
	add := func(clause func() string) {
		if len(clauses) < maxListed {
			clauses = append(clauses, clause())
		} else {
			clauses = append(clauses, "")
		}
	}
	if len(without) > 0 {
		add(func() string {
			return fmt.Sprintf("%s: %s of %s is not exposed by %s",
				port.title(), port.Port, exports[port.by].Cluster, few(clusters(exports, without), ", "))
		})
	}
	if len(app) > 0 {
		add(func() string {
			theirs := make(map[string]string, len(app))
			for _, i := range app {
				theirs[exports[i].Cluster] = orNone(exports[i].Ports[index[i].slots[port.slot()][0]].AppProtocol)
			}
			return fmt.Sprintf("%s: appProtocol %s from %s wins over %s", port.title(), orNone(port.AppProtocol), port.from(exports),
				others(exports, app, func(e *Export) string { return theirs[e.Cluster] }))
		})
	}
	return clauses
}

// families is the union of the families, the winner's first: a family that one cluster has can be served by that cluster.
// Where the sets differ, traffic of one family reaches only some of the clusters, which is a conflict to report (KEP-1645,
// IPFamilyConflict). An export whose families are not known does not take part.
func mergeFamilies(exports []Export) (union []corev1.IPFamily, conflict *Conflict) {
	var known []int
	for i := range exports {
		for _, f := range exports[i].IPFamilies {
			if !slices.Contains(union, f) {
				union = append(union, f)
			}
		}
		if len(exports[i].IPFamilies) > 0 {
			known = append(known, i)
		}
	}
	var losers []int
	for _, i := range known {
		if len(exports[i].IPFamilies) != len(union) {
			losers = append(losers, i)
		}
	}
	if len(losers) == 0 {
		return union, nil
	}
	show := func(e *Export) string { return showFamilies(e.IPFamilies) }
	message := fmt.Sprintf("ipFamilies: the service has %s, of which some clusters have only part: %s; traffic of one family does not reach all clusters; %s",
		showFamilies(union), others(exports, losers, show), ratio(losers, exports))
	return union, &Conflict{mcs.ServiceExportReasonIPFamilyConflict, message}
}

// maxListed is how many things of a kind a message names before it counts the rest: conditions are read by people, and an
// API server takes messages of at most 32 KiB.
const maxListed = 8

// few joins items, and counts those beyond maxListed.
func few(items []string, sep string) string {
	if len(items) <= maxListed {
		return strings.Join(items, sep)
	}
	return strings.Join(items[:maxListed], sep) + fmt.Sprintf("%sand %d more", sep, len(items)-maxListed)
}

// others lists "VALUE of CLUSTER, CLUSTER" for the exports at indices, those with one value together.
func others(exports []Export, indices []int, show func(*Export) string) string {
	var values []string
	by := make(map[string][]int)
	for _, i := range indices {
		v := show(&exports[i])
		if by[v] == nil {
			values = append(values, v)
		}
		by[v] = append(by[v], i)
	}
	clauses := make([]string, len(values))
	for i, v := range values {
		clauses[i] = v + " of " + few(clusters(exports, by[v]), ", ")
	}
	return few(clauses, ", ")
}

func clusters(exports []Export, indices []int) []string {
	names := make([]string, len(indices))
	for i, at := range indices {
		names[i] = exports[at].Cluster
	}
	return names
}

func ratio(losers []int, exports []Export) string {
	return fmt.Sprintf("%d/%d clusters disagree", len(losers), len(exports))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func showFamilies(families []corev1.IPFamily) string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = string(f)
	}
	slices.Sort(names)
	return strings.Join(names, "+")
}

func showMap(m map[string]string) string {
	pairs := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, k+"="+excerpt.Of(m[k], 40))
	}
	return "{" + excerpt.Of(few(pairs, ","), 200) + "}"
}
