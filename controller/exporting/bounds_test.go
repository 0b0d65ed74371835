package exporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// TestRoom_X6: what all watches of a kind keep has one bound. A list beyond it fails, and a list that failed is not kept; an event beyond
// it has all objects read once more.
func TestRoom_X6(t *testing.T) {
	service := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: "1"}}
	}
	one := weigh(service("a"))
	r := &room{most: 3 * one}
	newOne := func() *watched[*corev1.Service] {
		w := newWatched("services", nil, true, func(*corev1.Service) {}, func(*corev1.Service) {})
		w.told, w.room = func() {}, r
		return w
	}
	first, second := newOne(), newOne()
	list := func(w *watched[*corev1.Service], names ...string) (err error) {
		w.Begin()
		for _, name := range names {
			err = errors.Join(err, w.Set(service(name)))
		}
		return err
	}
	if err := list(first, "a", "b"); err != nil {
		t.Fatal(err)
	}
	first.End("1")
	if err := list(first, "a", "b"); err != nil { // while the list before is there still
		t.Error(err)
	}
	first.End("2")
	if err := list(second, "c", "d"); err == nil {
		t.Error("a list beyond the bound is taken")
	}
	second.dropList()
	if second.list != nil || r.used != 2*one {
		t.Errorf("a list that failed is kept: %d bytes are used, want %d", r.used, 2*one)
	}
	if err := first.Set(service("c")); err != nil {
		t.Error(err)
	}
	if err := first.Set(service("d")); !errors.Is(err, follow.ErrDropped) || first.get(keyOf(service("d"))) != nil {
		t.Errorf("an event beyond the bound: %v", err)
	}
	if err := first.Remove(service("a")); err != nil || r.used != 2*one {
		t.Errorf("%v, %d bytes are used, want %d", err, r.used, 2*one)
	}
}

// TestManyRules_X6: so many namespaces have rules of their own. The others are told once, nothing is decided there, and they get their
// turn when there is room. What is known of a namespace goes with it.
func TestManyRules_X6(t *testing.T) {
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is asked
	l := &lane{
		x: New(rules.Rules{Everywhere: labels.Nothing()}, slog.New(slog.NewTextHandler(&log, nil))), member: &members.Member{}, kube: kube, ctx: ctx,
		own: map[string]*watched[*corev1.Service]{}, parsed: map[string]parsed{}, many: map[string]bool{}, denied: map[string]time.Time{}, seen: map[string]bearing{},
		namespaces: watchNamespaces(kube, func(*corev1.Namespace) {}), everywhere: watchServices(kube, "", labels.Nothing(), nil),
	}
	t.Cleanup(l.done.Wait)
	named := func(i int) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprint("ns-", i), Annotations: map[string]string{mcsapi.AnnotationExportSelector: "app=web"},
		}}
	}
	for i := range maxRules + 2 {
		l.namespaces.objects[types.NamespacedName{Name: named(i).Name}] = named(i)
		l.namespaceChanged(named(i))
	}
	if len(l.own) != maxRules || len(l.many) != 2 || strings.Count(log.String(), "nothing is exported or withdrawn by rule") != 1 {
		t.Errorf("%d rules are followed, %d not, said %s", len(l.own), len(l.many), log.String())
	}
	if _, err := l.rule(named(maxRules)); !errors.Is(err, errManyRules) {
		t.Errorf("by the rule of a namespace without room: %v", err)
	}
	l.denied["ns-0"] = time.Now()
	delete(l.namespaces.objects, types.NamespacedName{Name: "ns-0"})
	l.namespaceChanged(named(0))
	if len(l.own) != maxRules || len(l.many) != 1 || l.own["ns-0"] != nil {
		t.Errorf("%d rules are followed, %d not", len(l.own), len(l.many))
	}
	if len(l.denied) != 0 || len(l.seen) != maxRules+1 || len(l.parsed) != maxRules {
		t.Errorf("what is known of a namespace stays: %d, %d, %d", len(l.denied), len(l.seen), len(l.parsed))
	}
}
