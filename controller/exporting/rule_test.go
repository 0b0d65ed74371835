package exporting

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// TestServiceOfItsRule_P1_X6: of a Service, the labels are kept that its watch's rule asks for, and nothing else that nobody reads; by
// another rule, which asks for others, nothing is said of it.
func TestServiceOfItsRule_P1_X6(t *testing.T) {
	const web = `{"metadata":{"name":"web","namespace":"shop","resourceVersion":"1","uid":"1","labels":{"app":"web","tier":"back","big":"x"},` +
		`"annotations":{"big":"x"},"finalizers":["big"],"generateName":"big"},"spec":{"externalIPs":["big"]}}`
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Query().Get("sendInitialEvents") != "":
			http.Error(w, "no such parameter", http.StatusBadRequest)
		case r.URL.Query().Get("watch") != "":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case r.URL.Query().Get("labelSelector") == "app=web":
			fmt.Fprintf(w, `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"2"},"items":[%s]}`, web)
		default:
			fmt.Fprint(w, `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"2"},"items":[]}`)
		}
	}))
	t.Cleanup(server.Close)
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	selector := func(text string) labels.Selector {
		s, err := rules.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	follow := func(namespace, text string) *watched[*corev1.Service] {
		w := watchServices(kube, namespace, selector(text), func(*corev1.Service) {})
		synced := make(chan struct{})
		running.Go(func() { w.run(t.Context(), slog.New(slog.DiscardHandler), func() { close(synced) }) })
		<-synced
		return w
	}
	l := &lane{x: New(rules.Rules{ClusterSet: "demo"}, nil), parsed: map[string]parsed{}, everywhere: follow("", "app=web")}
	l.own = map[string]*watched[*corev1.Service]{"shop": follow("shop", "tier=front")}
	key := types.NamespacedName{Namespace: "shop", Name: "web"}
	for text, want := range map[string]bool{
		"app=web":    true,
		"tier=front": false, // its watch does not show it
		"tier!=back": false, // its watch has not begun
		"":           false,
	} {
		s := l.service(key, selector(text))
		if (s != nil) != want {
			t.Errorf("by rule %q: %v", text, s)
		}
		if s != nil && (len(s.Labels) != 1 || s.Labels["app"] != "web" || strings.Contains(fmt.Sprintf("%+v", s), "big")) {
			t.Errorf("kept: %+v", s)
		}
	}
}

// TestRuleIsParsedOnce_X6: a namespace's rule is parsed when it changes, not for each Service; one that is too long, not at all.
func TestRuleIsParsedOnce_X6(t *testing.T) {
	l := &lane{x: New(rules.Rules{ClusterSet: "demo", Everywhere: labels.Nothing()}, nil), parsed: map[string]parsed{}}
	var values []string
	for i := range 300 {
		values = append(values, fmt.Sprint("value-", i))
	}
	ns := func(rule string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Annotations: map[string]string{mcsapi.AnnotationExportSelector: rule}}}
	}
	long := ns("app in (" + strings.Join(values, ",") + ")")
	if _, err := l.parse(long); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = l.rule(long) }); n > 0 {
		t.Errorf("%v allocations to find a rule that is known", n)
	}
	if s, err := l.rule(ns("app=db")); err != nil || s.String() != "app=db" {
		t.Errorf("a rule that is newer than the watch: %v, %v", s, err)
	}
	if _, err := l.rule(ns("app in (" + strings.Repeat("x,", 5000) + "y)")); err == nil || len(err.Error()) > 300 {
		t.Errorf("a rule of 10 KB: %v", err)
	}
}
