package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// automatic says whether the import is one that this clusterset's controller created and so may change and delete
// (SPEC I2). Every other is a person's.
func (p *pass) automatic(i *mcs.ServiceImport) bool {
	return i.Labels[mcsapi.LabelAutomatic] == "true" && i.Labels[mcsapi.LabelClusterSet] == p.ClusterSet
}

// otherImplementations are domains under which other implementations of the MCS API label or annotate the imports that
// they manage.
var otherImplementations = []string{
	"submariner.io", "submariner-io", "cilium.io", "antrea.io", "gke.io", "liqo.io", "linkerd.io",
	"multiclusterservice.karmada.io", "endpointslice.karmada.io", "networking.fleet.azure.com",
}

// otherManagers are what such implementations write as app.kubernetes.io/managed-by.
var otherManagers = []string{"cilium", "submariner", "lighthouse", "karmada", "antrea", "liqo", "linkerd", "gke-mcs", "aws-cloud-map-mcs-controller"}

// foreign names who else manages the import, or "" if it is ours to serve (SPEC I3, X5).
func (p *pass) foreign(i *mcs.ServiceImport) string {
	if set := OtherSet(i, p.ClusterSet); set != "" {
		return "clusterset " + set
	}
	if p.claimed(i) {
		return ""
	}
	if d := i.Annotations[mcsapi.AnnotationDerivedService]; d != "" && d != p.derived {
		return "the owner of its derived Service " + d
	}
	if by := i.Labels["app.kubernetes.io/managed-by"]; slices.Contains(otherManagers, by) {
		return by
	}
	for _, keys := range []map[string]string{i.Labels, i.Annotations} {
		for key := range keys {
			if domain, _, ok := strings.Cut(key, "/"); ok && otherImplementation(domain) {
				return "another implementation of the MCS API"
			}
		}
	}
	if by := p.stranger(i); by != "" {
		return "whoever imports from cluster " + by
	}
	return ""
}

// OtherSet returns the clusterset that an import is marked as being of, "" if that is the one given, or none.
func OtherSet(i *mcs.ServiceImport, clusterset string) string {
	for _, set := range []string{i.Labels[mcsapi.LabelClusterSet], i.Annotations[mcsapi.AnnotationClusterSet]} {
		if set != "" && set != clusterset {
			return set
		}
	}
	return ""
}

// claimed says that the import is this clusterset's: by its label, or by the annotation that a person or this controller
// put on it.
func (p *pass) claimed(i *mcs.ServiceImport) bool {
	return i.Labels[mcsapi.LabelClusterSet] == p.ClusterSet || i.Annotations[mcsapi.AnnotationClusterSet] == p.ClusterSet
}

// stranger returns a cluster in the import's status that this clusterset does not know, while nothing of ours is there:
// an implementation that marks nothing filled that status in. "" if there is none.
func (p *pass) stranger(i *mcs.ServiceImport) string {
	if p.own.derived != nil || len(p.own.slices) > 0 {
		return ""
	}
	for _, name := range clusterNames(&i.Status) {
		known := p.Unsure[name] || slices.Contains(p.Members, name) || p.Service != nil && slices.Contains(p.Service.Clusters, name)
		if !known {
			return name
		}
	}
	return ""
}

func otherImplementation(domain string) bool {
	return slices.ContainsFunc(otherImplementations, func(d string) bool {
		return domain == d || strings.HasSuffix(domain, "."+d)
	})
}

// own is what of ours the consumer holds for the service.
type own struct {
	derived *corev1.Service
	slices  []*discoveryv1.EndpointSlice
}

func (p *pass) possessions() own {
	var o own
	if p.made(p.Derived) {
		o.derived = p.Derived
	}
	for _, s := range p.Slices {
		if s.Labels[mcsapi.LabelClusterSet] == p.ClusterSet && s.Labels[discoveryv1.LabelManagedBy] == mcsapi.ManagedBy {
			o.slices = append(o.slices, s)
		}
	}
	slices.SortFunc(o.slices, byName)
	return o
}

func byName(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) }

// made says whether the Service under the derived name is this controller's work for this very import. Two imports can
// only have one derived name by an unlucky hash; the label tells them apart.
func (p *pass) made(s *corev1.Service) bool {
	if s == nil || s.Labels[mcsapi.LabelClusterSet] != p.ClusterSet {
		return false
	}
	name := s.Labels[mcsapi.LabelServiceName]
	return name == p.Key.Name || name == "" || slices.ContainsFunc(s.OwnerReferences, func(r metav1.OwnerReference) bool {
		return isImport(&r) && r.Name == p.Key.Name
	})
}

func isImport(r *metav1.OwnerReference) bool {
	return r.Kind == mcs.ServiceImportKindName && strings.HasPrefix(r.APIVersion, mcsapi.Group+"/")
}

// owned returns refs with the import as owner, by its UID and a served version (SPEC S1), and the owners that others set.
// It blocks no deletion and is no controller reference: setting those takes rights on the import's finalizers.
func (p *pass) owned(refs []metav1.OwnerReference) []metav1.OwnerReference {
	want := metav1.OwnerReference{
		APIVersion: mcsapi.Group + "/" + p.ImportVersion,
		Kind:       mcs.ServiceImportKindName,
		Name:       p.Import.Name,
		UID:        p.Import.UID,
	}
	out := []metav1.OwnerReference{want}
	for i := range refs {
		if !isImport(&refs[i]) {
			out = append(out, refs[i])
		}
	}
	return out
}

// involved are the clusters that the consumer has something of: listed in the import's status, remembered, or with slices.
func (p *pass) involved() map[string]bool {
	out := make(map[string]bool)
	if p.Import != nil {
		for _, c := range p.Import.Status.Clusters {
			out[c.Cluster] = true
		}
		remembered, err := Remembered(p.Import)
		if err == nil { // what can't be read says nothing
			for i := range remembered {
				out[remembered[i].Cluster] = true
			}
		}
	}
	for _, s := range p.own.slices {
		out[s.Labels[mcsapi.LabelSourceCluster]] = true
	}
	return out
}
