package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Service is one multi-cluster service.
type Service struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Type is "" where no cluster imports it.
	Type string `json:"type,omitempty"`
	// IPs are by importing cluster.
	IPs map[string][]string `json:"ips"`
	// Exports are the exporting clusters.
	Exports []Exporter `json:"exports"`
	// Conflicts are the reasons for which the exports disagree.
	Conflicts []string `json:"conflicts"`
	// Choice is what exports and imports choose: whom they are for, whom they prefer, and that a rule made them.
	Choice []string `json:"choice,omitempty"`
	// Notes are what is wrong with an export or import, as its conditions say.
	Notes []string `json:"notes"`
}

// Exporter is one exporting cluster, with the endpoints of it that were imported.
type Exporter struct {
	Cluster string `json:"cluster"`
	Ready   int    `json:"ready"`
	Total   int    `json:"total"`
	// Known says that some cluster imports them; else the counts mean nothing.
	Known bool `json:"known"`
}

// Services puts together every name that is exported or imported, sorted by namespace and name.
func Services(list []Cluster) []Service {
	found := map[types.NamespacedName]*Service{}
	at := func(ns, name string) *Service {
		key := types.NamespacedName{Namespace: ns, Name: name}
		if found[key] == nil {
			found[key] = &Service{Namespace: ns, Name: name, IPs: map[string][]string{}, Exports: []Exporter{}, Conflicts: []string{}, Notes: []string{}}
		}
		return found[key]
	}
	for i := range list {
		c := &list[i]
		for n := range c.Exports {
			at(c.Exports[n].Namespace, c.Exports[n].Name).exported(c.Member.ID, &c.Exports[n])
		}
	}
	for i := range list {
		c := &list[i]
		for n := range c.Imports {
			at(c.Imports[n].Namespace, c.Imports[n].Name).imported(c.Member.ID, &c.Imports[n])
		}
	}
	for i := range list { // the first consumer that has a cluster's endpoints counts them
		counts := map[types.NamespacedName]map[string]*Exporter{}
		for n := range list[i].Slices {
			tally(counts, &list[i].Slices[n])
		}
		for key, by := range counts {
			s := at(key.Namespace, key.Name)
			for n := range s.Exports {
				if e := by[s.Exports[n].Cluster]; e != nil && !s.Exports[n].Known {
					s.Exports[n] = *e
				}
			}
		}
	}
	out := make([]Service, 0, len(found))
	for _, s := range found {
		slices.SortFunc(s.Exports, func(a, b Exporter) int { return strings.Compare(a.Cluster, b.Cluster) })
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Service) int {
		if a.Namespace != b.Namespace {
			return strings.Compare(a.Namespace, b.Namespace)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func (s *Service) exporter(cluster string) {
	if !slices.ContainsFunc(s.Exports, func(e Exporter) bool { return e.Cluster == cluster }) {
		s.Exports = append(s.Exports, Exporter{Cluster: cluster})
	}
}

func (s *Service) exported(cluster string, e *mcs.ServiceExport) {
	if c := condition(e.Status.Conditions, string(mcs.ServiceExportConditionValid)); c != nil && c.Status == metav1.ConditionFalse {
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %s", cluster, c.Reason))
		return
	}
	s.exporter(cluster)
	s.conflict(e.Status.Conditions)
	if mcsapi.MadeByRule(e.Labels) {
		s.Choice = append(s.Choice, cluster+" by rule")
	}
	s.choice(cluster, "for", "", e.Annotations, mcsapi.AnnotationConsumers)
	s.choice(cluster, "asks to prefer", "none", e.Annotations, mcsapi.AnnotationPrefer)
}

// choice notes what an annotation that names clusters chooses.
func (s *Service) choice(cluster, verb, nobody string, annotations map[string]string, name string) {
	ids := mcsapi.ClustersIn(annotations, name)
	if ids != nil {
		s.Choice = append(s.Choice, fmt.Sprintf("%s %s %s", cluster, verb, cmp.Or(strings.Join(ids, ","), nobody, "nobody")))
	}
}

func (s *Service) imported(cluster string, i *mcs.ServiceImport) {
	s.Type = string(i.Spec.Type)
	s.IPs[cluster] = append([]string{}, i.Spec.IPs...)
	for _, by := range i.Status.Clusters { // a provider that can't be asked from here is known by this
		s.exporter(by.Cluster)
	}
	s.conflict(i.Status.Conditions)
	s.choice(cluster, "from", "", i.Annotations, mcsapi.AnnotationProviders)
	s.choice(cluster, "prefers", "none", i.Annotations, mcsapi.AnnotationPrefer)
	if c := condition(i.Status.Conditions, string(mcs.ServiceImportConditionReady)); c != nil && c.Status == metav1.ConditionFalse {
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %s", cluster, c.Reason))
	}
}

// conflict notes the reasons of a true condition Conflict.
func (s *Service) conflict(list []metav1.Condition) {
	c := condition(list, string(mcs.ServiceExportConditionConflict))
	if c == nil || c.Status != metav1.ConditionTrue {
		return
	}
	for _, reason := range strings.Split(c.Reason, ",") {
		if !slices.Contains(s.Conflicts, reason) {
			s.Conflicts = append(s.Conflicts, reason)
		}
	}
	slices.Sort(s.Conflicts)
}

func condition(list []metav1.Condition, typ string) *metav1.Condition {
	for i := range list {
		if list[i].Type == typ {
			return &list[i]
		}
	}
	return nil
}

// tally counts the endpoints of an imported slice.
func tally(counts map[types.NamespacedName]map[string]*Exporter, s *discoveryv1.EndpointSlice) {
	name, _ := mcsapi.ServiceOf(s.Labels)
	key := types.NamespacedName{Namespace: s.Namespace, Name: name}
	from := s.Labels[mcsapi.LabelSourceCluster]
	if counts[key] == nil {
		counts[key] = map[string]*Exporter{}
	}
	e := counts[key][from]
	if e == nil {
		e = &Exporter{Cluster: from, Known: true}
		counts[key][from] = e
	}
	e.Total += len(s.Endpoints)
	for _, endpoint := range s.Endpoints {
		if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
			e.Ready++
		}
	}
}

// PrintServices shows services to people, one line each.
func PrintServices(s *screen.Screen, list []Service) {
	if len(list) == 0 {
		s.Line("no service is exported or imported")
		return
	}
	head := []string{"NAMESPACE", "NAME", "TYPE", "IPS", "EXPORTED BY", "CONFLICTS", "NOTES"}
	chosen := slices.ContainsFunc(list, func(v Service) bool { return len(v.Choice) > 0 })
	if chosen {
		head = append(head, "CHOICE")
	}
	var rows [][]string
	for i := range list {
		v := &list[i]
		row := []string{v.Namespace, v.Name, v.Type, v.ips(), v.exporters(), strings.Join(v.Conflicts, ","), strings.Join(v.Notes, ", ")}
		if chosen {
			row = append(row, strings.Join(v.Choice, ", "))
		}
		rows = append(rows, row)
	}
	s.Table(head, rows)
}

// ips are the addresses; with the cluster's id where several import the service, for each has an address of its own.
func (s *Service) ips() string {
	var out []string
	for cluster, ips := range s.IPs {
		switch {
		case len(ips) == 0:
		case len(s.IPs) == 1:
			out = append(out, strings.Join(ips, ","))
		default:
			out = append(out, cluster+"="+strings.Join(ips, ","))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (s *Service) exporters() string {
	var out []string
	for _, e := range s.Exports {
		if e.Known {
			out = append(out, fmt.Sprintf("%s %d/%d", e.Cluster, e.Ready, e.Total))
		} else {
			out = append(out, e.Cluster)
		}
	}
	return strings.Join(out, ", ")
}

// Troubled says that the service has a conflict or does not work somewhere.
func (s *Service) Troubled() bool { return len(s.Conflicts) > 0 || len(s.Notes) > 0 }
