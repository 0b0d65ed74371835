package multicluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/view"

	"k8s.io/client-go/rest"
)

// TestSilence: a watch whose connection died without either end knowing is given up, and goes on over another one from where it
// was, without an outage and without reading everything again (SPEC D8).
func TestSilence(t *testing.T) {
	var watches atomic.Int32
	versions := make(chan string, 100)
	event := func(w http.ResponseWriter, kind string, annotations map[string]string, version string) {
		object := map[string]any{
			"kind": "ServiceImport", "apiVersion": "multicluster.x-k8s.io/v1beta1", "spec": map[string]any{"type": "Headless"},
			"metadata": map[string]any{"name": "web", "namespace": "ns", "resourceVersion": version, "annotations": annotations},
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": object}); err != nil {
			t.Error(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		watches.Add(1)
		versions <- r.URL.Query().Get("resourceVersion")
		if watches.Load() == 1 {
			event(w, "ADDED", nil, "5")
			event(w, "BOOKMARK", map[string]string{"k8s.io/initial-events-end": "true"}, "7")
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done() // silence
	}))
	defer server.Close()
	cfg := mcsapi.Config(clientConfig(&rest.Config{Host: server.URL}), "v1beta1")
	cfg.NegotiatedSerializer = leanImports(cfg.NegotiatedSerializer)
	rc, err := rest.RESTClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := &api{rc, "serviceimports", newImportFeed}
	v := view.New()
	s := &stream{kind: "imports", silence: 50 * time.Millisecond, sink: &importSink{view: v, zone: &zoneLength{}, told: told{}}}
	s.health = newHealth([]*stream{s})
	if err := s.streamAll(t.Context(), client); err != nil {
		t.Fatalf("a silent watch is an outage: %v", err)
	}
	if s.version != "7" || v.Service("web.ns") == nil {
		t.Fatalf("read up to version %q", s.version)
	}
	if err := s.watch(t.Context(), client); err != nil {
		t.Fatalf("a silent watch is an outage: %v", err)
	}
	if got := fmt.Sprintf("%q, %q", <-versions, <-versions); got != `"", "7"` {
		t.Errorf("watched from versions %s", got)
	}
}

// TestStopsWhileAsking_D10: a server that accepts connections and never replies holds up neither a stop nor a reload.
func TestStopsWhileAsking_D10(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := importClient(&rest.Config{Host: server.URL})(ctx)
		ended <- err
	}()
	<-asked
	stop()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it knows what is served")
		}
	case <-time.After(discoveryTimeout / 2): // it would end by itself after the whole of it
		t.Error("it does not stop while it asks")
	}
}
