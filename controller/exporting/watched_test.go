package exporting

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/internal/follow"
)

// TestNamesOfALyingServer_X2: namespaces and Services with names that no object can have, in a list or a watch, are not seen:
// an empty namespace would stand for all, and "shop/cart" without a namespace for the Service of another.
func TestNamesOfALyingServer_X2(t *testing.T) {
	object := func(kind, namespace, name, version string) string {
		return fmt.Sprintf(`{"kind":%q,"apiVersion":"v1","metadata":{"name":%q,"namespace":%q,"resourceVersion":%q}}`, kind, name, namespace, version)
	}
	lies := map[string][]string{
		"namespaces": {object("Namespace", "", "", "1"), object("Namespace", "", "a/b", "1"), object("Namespace", "shop", "cart", "1")},
		"services":   {object("Service", "", "shop/cart", "1"), object("Service", "", "", "1"), object("Service", "shop", "", "1"), object("Service", "Shop", "cart", "1")},
	}
	honest := map[string][2]string{
		"namespaces": {object("Namespace", "", "early", "1"), object("Namespace", "", "late", "9")},
		"services":   {object("Service", "ns", "early", "1"), object("Service", "ns", "late", "9")},
	}
	lists := map[string]string{"namespaces": "NamespaceList", "services": "ServiceList"}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "" {
			items := append([]string{honest[resource][0]}, lies[resource]...)
			fmt.Fprintf(w, `{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":"2"},"items":[%s]}`, lists[resource], strings.Join(items, ","))
			return
		}
		if r.URL.Query().Get("sendInitialEvents") != "" {
			http.Error(w, "no such parameter", http.StatusBadRequest)
			return
		}
		for _, o := range append(slices.Clone(lies[resource]), honest[resource][1]) {
			fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", o)
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 100)
	namespaces := watchNamespaces(kube, func(n *corev1.Namespace) { told <- n.Name })
	services := watchServices(kube, "", labels.Everything(), func(s *corev1.Service) { told <- s.Namespace + "/" + s.Name })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	running.Go(func() { namespaces.run(ctx, log, func() {}) })
	running.Go(func() { services.run(ctx, log, func() {}) })

	seen := map[string]bool{}
	for !seen["late"] || !seen["ns/late"] {
		seen[<-told] = true
	}
	for name := range seen {
		if !slices.Contains([]string{"early", "late", "ns/early", "ns/late"}, name) {
			t.Errorf("told of %q", name)
		}
	}
	if n, s := len(namespaces.all()), len(services.all()); n != 2 || s != 2 {
		t.Errorf("%d namespaces and %d Services are kept, want 2 of each", n, s)
	}
	if all := services.in(""); len(all) != 0 {
		t.Errorf("something is in the namespace without a name: %v", all)
	}
}

// TestWatchesWait_X6: a server that ends each watch after an event is not watched again and again at once, and one whose watches
// last is watched again when one ends.
func TestWatchesWait_X6(t *testing.T) {
	const (
		watchesInARow, watchEvery = 10, 15 * time.Second
		bookmarks                 = time.Minute // from one to the next
	)
	for name, c := range map[string]struct {
		life    time.Duration // of each watch
		most    int           // watches in an hour
		longest time.Duration // without a watch
	}{
		"closes after an event":  {most: watchesInARow + int(time.Hour/watchEvery) + 1},
		"closes after a second":  {life: time.Second, most: watchesInARow + int(time.Hour/watchEvery) + 1},
		"honest, ends every 5 m": {life: 5 * time.Minute, most: 13, longest: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var watches atomic.Int32
				var mu sync.Mutex
				var ended time.Time
				source := fakeNamespaces(func(ctx context.Context) watch.Interface {
					watches.Add(1)
					mu.Lock()
					defer mu.Unlock()
					if gap := time.Since(ended); c.longest > 0 && !ended.IsZero() && gap > c.longest {
						t.Errorf("nothing was watched for %s", gap)
					}
					w := watch.NewRaceFreeFake()
					shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", ResourceVersion: "2"}}
					go func() {
						defer w.Stop()
						w.Add(shop)
						for left := c.life; left > 0; left -= bookmarks {
							select {
							case <-ctx.Done():
							case <-time.After(min(left, bookmarks)):
							}
							w.Action(watch.Bookmark, shop)
						}
						mu.Lock()
						defer mu.Unlock()
						ended = time.Now()
					}()
					return w
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				w := newWatched("namespaces", source, false, func(*corev1.Namespace) {}, func(*corev1.Namespace) {})
				w.run(ctx, slog.New(slog.DiscardHandler), func() {})
				if got := int(watches.Load()); got > c.most || got < 10 {
					t.Errorf("%d watches in an hour, want at most %d", got, c.most)
				}
			})
		})
	}
}

// fakeNamespaces is a source of no namespaces, until it is watched.
type fakeNamespaces func(context.Context) watch.Interface

func (fakeNamespaces) Page(context.Context, metav1.ListOptions) (follow.Page, error) {
	return func() (runtime.Object, error) {
		return &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
	}, nil
}

func (watch fakeNamespaces) Watch(ctx context.Context, _ metav1.ListOptions) (follow.Feed, error) {
	return follow.Events(ctx, watch(ctx)), nil
}

// TestAbsent_P1: what a new list lacks is told of, and is no longer there; what it has as before is not told again.
func TestAbsent_P1(t *testing.T) {
	var told []string
	all := 0
	w := newWatched("services", nil, true, func(*corev1.Service) {}, func(s *corev1.Service) { told = append(told, s.Name+"@"+s.ResourceVersion) })
	w.told = func() { all++ }
	for _, list := range []string{"a1 b1 c1", "a1 c2 d2"} {
		w.Begin()
		for _, s := range strings.Fields(list) {
			if err := w.Set(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: s[:1], ResourceVersion: s[1:]}}); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) > 3 || len(told) == 0 && w.known {
			t.Errorf("told of %v before the list was whole", told)
		}
		w.End("9")
	}
	slices.Sort(told)
	if got := strings.Join(told, " "); got != "a@1 b@1 b@1 c@1 c@2 d@2" || len(w.all()) != 3 || all != 1 {
		t.Errorf("told of %s, %d are there, all known %d times", got, len(w.all()), all)
	}
	if err := w.Set(&corev1.Namespace{}); err == nil {
		t.Error("a namespace is taken for a Service")
	}
}
