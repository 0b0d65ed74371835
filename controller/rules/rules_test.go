package rules

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

func namespace(name string, rule ...string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, text := range rule {
		ns.Annotations = map[string]string{mcsapi.AnnotationExportSelector: text}
	}
	return ns
}

func service(name string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "1", Labels: map[string]string{"app": "web"}}}
	for _, f := range change {
		f(s)
	}
	return s
}

// TestDecide_P1: what a rule exports, what it takes back, and what it leaves alone.
func TestDecide_P1(t *testing.T) {
	selector, err := Parse("app=web")
	if err != nil {
		t.Fatal(err)
	}
	r := Rules{ClusterSet: "demo", Everywhere: selector}
	other := func(s *corev1.Service) { s.Labels["app"] = "db" }
	external := func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }
	derived := func(s *corev1.Service) { s.Labels[mcsapi.LabelClusterSet] = "demo" }
	going := func(s *corev1.Service) { s.DeletionTimestamp = &metav1.Time{Time: time.Now()} }
	ours := r.Export(service("web"))
	persons := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	taken := ours.DeepCopy()
	delete(taken.Labels, mcsapi.LabelByRule)
	anothers := Rules{ClusterSet: "other"}.Export(service("web"))
	terminating := namespace("shop")
	terminating.DeletionTimestamp = &metav1.Time{Time: time.Now()}

	for name, c := range map[string]struct {
		ns      *corev1.Namespace
		service *corev1.Service
		export  *mcs.ServiceExport
		want    Verdict
		wrong   bool
	}{
		"selected":                       {namespace("shop"), service("web"), nil, Create, false},
		"selected and exported":          {namespace("shop"), service("web"), ours, Leave, false},
		"not selected":                   {namespace("shop"), service("web", other), nil, Leave, false},
		"not selected any more":          {namespace("shop"), service("web", other), ours, Delete, false},
		"a person's":                     {namespace("shop"), service("web"), persons, Leave, false},
		"a person's, not selected":       {namespace("shop"), service("web", other), persons, Leave, false},
		"taken over by a person":         {namespace("shop"), service("web", other), taken, Leave, false},
		"another clusterset's":           {namespace("shop"), service("web", other), anothers, Leave, false},
		"no Service":                     {namespace("shop"), nil, ours, Leave, false},
		"no namespace":                   {nil, service("web"), nil, Leave, false},
		"ExternalName":                   {namespace("shop"), service("web", external), nil, Leave, false},
		"ExternalName since":             {namespace("shop"), service("web", external), ours, Delete, false},
		"derived":                        {namespace("shop"), service("web", derived), nil, Leave, false},
		"the API server":                 {namespace("default"), service("kubernetes"), nil, Leave, false},
		"of Kubernetes":                  {namespace("kube-system"), service("web"), nil, Leave, false},
		"of Kubernetes, asked for":       {namespace("kube-system", "app"), service("web"), nil, Create, false},
		"the namespace's rule wins":      {namespace("shop", "app=db"), service("web"), nil, Leave, false},
		"and takes back":                 {namespace("shop", "app=db"), service("web"), ours, Delete, false},
		"and selects":                    {namespace("shop", "app in (db)"), service("web", other), nil, Create, false},
		"an empty rule is none":          {namespace("shop", ""), service("web"), ours, Delete, false},
		"a garbled rule says nothing":    {namespace("shop", "app in web"), service("web"), nil, Leave, true},
		"nor is a reason to delete":      {namespace("shop", "app in web"), service("web", other), ours, Leave, true},
		"a Service that goes":            {namespace("shop"), service("web", going), nil, Leave, false},
		"a namespace that goes":          {terminating, service("web"), nil, Leave, false},
		"a namespace that goes, exports": {terminating, service("web", other), ours, Leave, false},
	} {
		got, why := Leave, ""
		var err error
		selector := labels.Nothing()
		if c.ns != nil {
			selector, err = r.For(c.ns)
		}
		if err == nil {
			got, why = r.Decide(c.ns, selector, c.service, c.export)
		}
		if got != c.want || (got != Leave) != (why != "") || (err != nil) != c.wrong {
			t.Errorf("%s: %s %q, %v; want %s", name, got, why, err, c.want)
		}
	}
}

// SPEC P1, X5: what is made says whose it is, and goes with its Service.
func TestExport_P1(t *testing.T) {
	r := Rules{ClusterSet: "demo", Everywhere: labels.Nothing()}
	e := r.Export(service("web"))
	if !r.Made(e) || (Rules{ClusterSet: "other"}).Made(e) || r.Made(nil) || e.Namespace != "shop" || e.Name != "web" ||
		len(e.OwnerReferences) != 1 || e.OwnerReferences[0].UID != "1" || e.OwnerReferences[0].BlockOwnerDeletion != nil {
		t.Errorf("%+v", e)
	}
}

// SPEC P1: an empty selector selects nothing, not everything, as that of an API request would; a wrong one says what it is.
func TestParse_P1(t *testing.T) {
	for _, text := range []string{"", " "} {
		if s, err := Parse(text); err != nil || s.Matches(labels.Set{"app": "web"}) {
			t.Errorf("%q selects, %v", text, err)
		}
	}
	if _, err := Parse("app in web"); err == nil || !strings.Contains(err.Error(), `"app in web" is not a label selector`) {
		t.Errorf("%v", err)
	}
}
