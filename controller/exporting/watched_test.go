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
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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
