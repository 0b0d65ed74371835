package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC X5, I3: imports that others manage are told by their marks, or by a status of clusters that are not ours.
func TestOtherImplementations_X5(t *testing.T) {
	for name, mark := range map[string]func(*mcs.ServiceImport){
		"another clusterset's label": func(i *mcs.ServiceImport) { i.Labels = map[string]string{mcsapi.LabelClusterSet: "other"} },
		"another clusterset's annotation": func(i *mcs.ServiceImport) {
			i.Annotations = map[string]string{mcsapi.AnnotationClusterSet: "other"}
		},
		"another derived Service": func(i *mcs.ServiceImport) {
			i.Annotations = map[string]string{mcsapi.AnnotationDerivedService: "derived-abc"}
		},
		"Submariner": func(i *mcs.ServiceImport) {
			i.Labels = map[string]string{"lighthouse.submariner.io/sourceCluster": "x"}
		},
		"managed-by":       func(i *mcs.ServiceImport) { i.Labels = map[string]string{"app.kubernetes.io/managed-by": "karmada"} },
		"unknown clusters": func(i *mcs.ServiceImport) { i.Status.Clusters = []mcs.ClusterStatus{{Cluster: "elsewhere"}} },
	} {
		for _, exporters := range [][]*exporter{nil, {provider("east", time.Hour)}} {
			c := newConsumer(t, defaultConsumer())
			i := onDemand()
			mark(i)
			c.putImport(i)
			if actions := c.settle(wanted(t, exporters...), noon); len(actions) > 0 {
				t.Errorf("%s: %v", name, c.log)
			}
		}
	}
	// Marks that say nothing of the kind.
	c := newConsumer(t, defaultConsumer())
	i := onDemand()
	i.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm", "argocd.argoproj.io/instance": "x"}
	c.putImport(i)
	c.settle(wanted(t, provider("east", time.Hour)), noon)
	if len(c.imp.Spec.IPs) == 0 {
		t.Error("an import installed by Helm is not served")
	}
}

// SPEC X5: two clustersets in one cluster never take turns in writing one import, whoever looks first, and the one that has
// an exporter serves it.
func TestTwoClusterSets_X5(t *testing.T) {
	a := newConsumer(t, Consumer{Cluster: "c", ClusterSet: "a", ImportVersion: "v1beta1", Families: []corev1.IPFamily{"IPv4"}})
	a.putImport(onDemand())
	turn := func(set string, w Wanted) int {
		a.ClusterSet = set
		return len(a.settle(w, noon))
	}
	none, exported := wanted(t), wanted(t, provider("east", time.Hour))
	turn("a", none)
	if n := turn("b", none) + turn("a", none); n > 0 {
		t.Errorf("%d writes about nothing: %v", n, a.log)
	}
	turn("b", exported)
	if n := turn("a", none) + turn("a", exported) + turn("b", exported); n > 0 {
		t.Errorf("%d writes about what is served: %v", n, a.log)
	}
	if a.imp.Annotations[mcsapi.AnnotationClusterSet] != "b" {
		t.Error("it is not b that serves")
	}
	turn("b", none) // says so on the import
	a.imp = a.imp.DeepCopy()
	a.imp.Annotations = map[string]string{mcsapi.AnnotationClusterSet: "a"} // a person chooses
	if n := turn("b", none); n > 0 {
		t.Errorf("b writes what a person gave to a: %v", a.log)
	}
	if turn("a", none); !strings.Contains(conditionOf(a.imp, "Ready").Message, "clusterset a exports") {
		t.Errorf("a has nothing to say: %v", a.log)
	}
	turn("a", exported)
	if a.imp.Annotations[mcsapi.AnnotationClusterSet] != "a" || len(a.imp.Spec.IPs) != 1 {
		t.Errorf("a does not serve: %v", a.log)
	}
}
