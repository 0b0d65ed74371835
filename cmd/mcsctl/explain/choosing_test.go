package explain

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// said are the steps of a link in a report, as "verdict found".
func said(r Report, cluster, link string) (out []string) {
	for _, s := range r.Steps {
		if s.Cluster == cluster && s.Link == link {
			out = append(out, string(s.Verdict)+" "+s.Found)
		}
	}
	return out
}

// SPEC P1, P2, P3: what is chosen is told, and what is chosen is not taken for a fault.
func TestChoice_P(t *testing.T) {
	t.Run("consumers", func(t *testing.T) {
		f := well()
		f.Clusters[0].Export.Annotations = map[string]string{mcsapi.AnnotationConsumers: "c2, zz"}
		f.Clusters[0].Export.Labels = map[string]string{mcsapi.LabelByRule: "true"}
		r := Diagnose(*f)
		got := said(r, "c1", "choice")
		if r.Problem != nil || len(got) != 2 || !strings.HasPrefix(got[0], "ok exported by rule") ||
			got[1] != "warning only for c2, zz, by annotation clusterset.dev/consumers; not known: zz" {
			t.Errorf("%v, %q", r.Problem, got)
		}
	})
	t.Run("a rule that can't be read", func(t *testing.T) {
		f := well()
		c1 := &f.Clusters[0]
		c1.Export = nil
		c1.Namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: f.Key.Namespace, Annotations: map[string]string{mcsapi.AnnotationExportSelector: "app=(web"},
		}}
		r := Diagnose(*f)
		if r.Problem == nil || r.Problem.Cluster != "c1" || !strings.Contains(r.Problem.Found, `"app=(web" is not a label selector`) ||
			!strings.Contains(r.Problem.Do, "kubectl annotate namespace "+f.Key.Namespace) {
			t.Errorf("%+v", r.Problem)
		}
		c1.Namespace.Annotations[mcsapi.AnnotationExportSelector] = "app=web"
		if r := Diagnose(*f); r.Problem == nil || !strings.HasPrefix(r.Problem.Found, "no cluster exports") {
			t.Errorf("%+v", r.Problem)
		}
	})
	t.Run("not for this cluster", func(t *testing.T) {
		f := well()
		f.Clusters[0].Export.Annotations = map[string]string{mcsapi.AnnotationConsumers: "c9"}
		f.Clusters[1].Import, f.Clusters[1].Derived, f.Clusters[1].Imported = nil, nil, nil
		r := Diagnose(*f)
		if got := said(r, "c2", "import"); r.Problem != nil || !slices.Equal(got, []string{"none not imported here: it is exported to other clusters only"}) {
			t.Errorf("%v, %q", r.Problem, got)
		}
	})
	t.Run("providers", func(t *testing.T) {
		f := well()
		another(f)
		c2 := &f.Clusters[1]
		c2.Imported = c2.Imported[:1] // c3's are not here, and need not be
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationProviders: "c1"}
		r := Diagnose(*f)
		if got := said(r, "c2", "choice"); r.Problem != nil || !slices.Equal(got, []string{"ok imports only from c1, by annotation clusterset.dev/providers"}) {
			t.Errorf("%+v, %q", r.Problem, got)
		}
		c2.Import.Annotations = nil
		if r := Diagnose(*f); r.Problem == nil || r.Problem.Link != "slices" {
			t.Errorf("without the annotation c3's endpoints are not missed: %+v", r.Problem)
		}
	})
	t.Run("prefer", func(t *testing.T) {
		f := well()
		another(f)
		c2 := &f.Clusters[1]
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationPrefer: "local,c1"}
		c2.Imported[0].Labels[discoveryv1.LabelServiceName] = "amcs-service1"
		c2.Imported[0].Annotations = map[string]string{mcsapi.AnnotationRank: "1"}
		c2.Imported[1].Annotations = map[string]string{mcsapi.AnnotationRank: "2"}
		want := []string{"ok prefers local, c1, by annotation clusterset.dev/prefer", "ok in use by preference: c1; in reserve: c3"}
		if got := said(Diagnose(*f), "c2", "choice"); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("prefer, headless", func(t *testing.T) {
		f := well()
		another(f)
		f.Clusters[0].Service.Spec.ClusterIP, f.Clusters[2].Service.Spec.ClusterIP = "None", "None"
		c2 := &f.Clusters[1]
		c2.Import.Spec = mcs.ServiceImportSpec{Type: mcs.Headless}
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationPrefer: "c3"}
		c2.Imported[0].Annotations = map[string]string{mcsapi.AnnotationRank: "1"}
		for _, step := range []struct{ unready, want string }{{"", "10.3.1.5"}, {"c3", "10.1.1.5 10.1.1.6"}} {
			if step.unready != "" {
				unready(&c2.Imported[1])
				unready(&f.Clusters[2].Slices[0])
			}
			c2.Reply.Addresses = strings.Fields(step.want)
			if got := said(Diagnose(*f), "c2", "dns"); len(got) != 1 || !strings.HasPrefix(got[0], "ok ") {
				t.Errorf("%q", got)
			}
		}
		c2.Reply.Addresses = []string{"10.3.1.5"}
		if got := said(Diagnose(*f), "c2", "dns"); len(got) != 1 || !strings.HasPrefix(got[0], "wrong ") {
			t.Errorf("DNS lags behind: %q", got)
		}
	})
}
