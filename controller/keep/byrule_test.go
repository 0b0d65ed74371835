package keep_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestKeepsWhatRulesRead_X6: whatever field of a Namespace or a Service has another value, what is exported by rule is the same by what is
// kept as by the object, and nothing else is kept than that, the versions and what tells the objects.
func TestKeepsWhatRulesRead_X6(t *testing.T) {
	ns, service := &corev1.Namespace{}, &corev1.Service{}
	fill(reflect.ValueOf(ns).Elem())
	fill(reflect.ValueOf(service).Elem())
	ns.Name, ns.Namespace, service.Name, service.Namespace = "shop", "", "web", "shop"
	ns.DeletionTimestamp, service.DeletionTimestamp = nil, nil
	ns.Annotations = map[string]string{mcsapi.AnnotationExportSelector: "app=web,tier!=back", "other": "x"}
	service.Labels = map[string]string{"app": "web", "tier": "front", "other": "x"}
	service.Spec.Type = corev1.ServiceTypeClusterIP
	r := rules.Rules{ClusterSet: "demo", Everywhere: labels.Nothing()}
	keepOf := func(n *corev1.Namespace) *corev1.Service {
		selector, err := r.For(n)
		if err != nil {
			return keep.Selected(service, nil)
		}
		return keep.Selected(service, rules.Labels(selector))
	}
	said := func(n *corev1.Namespace, s *corev1.Service) string {
		selector, err := r.For(n)
		if err != nil {
			return err.Error()
		}
		verdict, why := r.Decide(n, selector, s, nil)
		return fmt.Sprint(verdict, why, r.Export(s), n.Name, n.UID, s.ResourceVersion, n.ResourceVersion)
	}
	read, kept := map[string]bool{}, map[string]bool{}
	was, mine, its := said(ns, service), keep.Ruled(ns), keepOf(ns)
	look := func(path string) {
		is := said(ns, service)
		if got := said(keep.Ruled(ns), keepOf(ns)); got != is {
			t.Errorf("with another %s: what is kept says\n%s\nwant\n%s", path, got, is)
		}
		read[path] = is != was
		kept[path] = !reflect.DeepEqual(keep.Ruled(ns), mine) || !reflect.DeepEqual(keepOf(ns), its)
	}
	vary(reflect.ValueOf(ns).Elem(), "namespace", look)
	vary(reflect.ValueOf(service).Elem(), "service", look)
	service.Labels[mcsapi.LabelClusterSet] = "demo"
	look("derived")
	delete(service.Labels, mcsapi.LabelClusterSet)
	service.Spec.Type = corev1.ServiceTypeExternalName
	look("external")
	if !read["derived"] || !read["external"] || !read["service.ObjectMeta.Labels/tier"] && !read["service.ObjectMeta.Labels/app"] {
		t.Errorf("what decides is not read: %v", read)
	}
	for path := range kept {
		_, field, _ := strings.Cut(path, "ObjectMeta.")
		if kept[path] && !read[path] && !slices.Contains([]string{ // the last three are read, but the other value comes to the same
			"CreationTimestamp", "Generation", "Namespace", "Labels/tier", "Labels/tier gone", "Annotations/" + mcsapi.AnnotationExportSelector,
		}, field) {
			t.Errorf("%s is kept, and read by nobody", path)
		}
	}
	ns.Annotations[mcsapi.AnnotationExportSelector] = strings.Repeat("x", 1<<20)
	if got := len(keep.Ruled(ns).Annotations[mcsapi.AnnotationExportSelector]); got != keep.MaxSelector+1 {
		t.Errorf("%d bytes of a selector are kept", got)
	}
	if _, err := r.For(keep.Ruled(ns)); err == nil {
		t.Error("a selector that is too long selects")
	}
}
