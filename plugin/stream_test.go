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

	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/decode"
	"github.com/clusterset/multicluster/plugin/view"

	"k8s.io/client-go/rest"
)

// TestSilence: a watch whose connection died without either end knowing is given up, and goes on over another one from where it
// was, without an outage and without reading everything again (SPEC D8, L10).
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
	s := importServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			fmt.Fprint(w, listOfOne)
			return
		}
		versions <- r.URL.Query().Get("resourceVersion")
		if watches.Add(1) == 1 {
			event(w, "ADDED", nil, "5")
			event(w, "BOOKMARK", map[string]string{"k8s.io/initial-events-end": "true"}, "7")
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done() // silence
	})
	s.silence = time.Second
	runStream(t, s)
	if got := fmt.Sprintf("%q, %q", <-versions, <-versions); got != `"", "7"` {
		t.Errorf("watched from versions %s", got)
	}
	if s.sink.(*importSink).view.Service("web.ns") == nil || !s.health.synced.Load() {
		t.Error("not all was read")
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if len(s.health.trouble) > 0 {
		t.Error("a silent watch is an outage")
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
		_, err := importClient(&rest.Config{Host: server.URL}, "")(ctx)
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

// importServer is an API server that answers about ServiceImports as respond says, and a stream that asks it.
func importServer(t *testing.T, respond http.HandlerFunc) *stream {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		respond(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := mcsapi.Config(clientConfig(&rest.Config{Host: server.URL}), "v1beta1")
	cfg.NegotiatedSerializer = decode.ImportCodecs(cfg.NegotiatedSerializer)
	rc, err := rest.RESTClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{kind: "imports", sink: &importSink{view: view.New(), zone: &zoneLength{}, told: told{}}}
	s.connect = follow.To(&follow.REST{Client: rc, Resource: "serviceimports", Feed: decode.NewImportFeed})
	s.health = newHealth([]*stream{s})
	return s
}

// runStream runs a stream until the test ends.
func runStream(t *testing.T, s *stream) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
}

const listOfOne = `{"kind": "ServiceImportList", "apiVersion": "multicluster.x-k8s.io/v1beta1", "metadata": {"resourceVersion": "8"}, "items": [
	{"metadata": {"name": "web", "namespace": "ns", "resourceVersion": "5"}, "spec": {"type": "Headless"}}]}`

// allTold is the event after all that there is, of a version.
const allTold = `{"type":"BOOKMARK","object":{"kind":"ServiceImport","apiVersion":"multicluster.x-k8s.io/v1beta1",
	"metadata":{"resourceVersion":%q,"annotations":{"k8s.io/initial-events-end":"true"}}}}`

// TestStreamingRefused_D8: a server whose etcd can't tell its progress opens the watch that was to begin with all that there is,
// and refuses it by an event. What there is is then read in pages.
func TestStreamingRefused_D8(t *testing.T) {
	watched := make(chan string, 10)
	s := importServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch version := r.URL.Query().Get("resourceVersion"); {
		case r.URL.Query().Get("watch") == "":
			fmt.Fprint(w, listOfOne)
		case version != "":
			watched <- version
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprint(w, `{"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError", "code": 500,
				"message": "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled"}}`)
		}
	})
	runStream(t, s)
	if version := <-watched; version != "8" || s.sink.(*importSink).view.Service("web.ns") == nil || !s.health.synced.Load() {
		t.Errorf("read up to version %q", version)
	}
}

// TestRestoredServer_D8: after a watch has ended, in order as it seems, a server that counts from an earlier version than the one
// seen last was restored from a backup, and is read anew; otherwise the watch goes on from where it was (SPEC D16).
func TestRestoredServer_D8(t *testing.T) {
	for seen, want := range map[string]string{"7": "7", "8": "8", "1000": ""} {
		watched := make(chan string, 10)
		var watches atomic.Int32
		s := importServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("watch") == "" {
				fmt.Fprint(w, listOfOne)
				return
			}
			watched <- r.URL.Query().Get("resourceVersion")
			if watches.Add(1) == 1 {
				fmt.Fprintf(w, allTold, seen)
				return
			}
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.run(ctx) }()
		if first, second := <-watched, <-watched; first != "" || second != want {
			t.Errorf("seen up to %s: watched from %q, then from %q, want %q", seen, first, second, want)
		}
		stop()
		<-ended
	}
}

// TestTriesWait_X6: a server that ends each watch after an event, or loses the place with each, is not asked again and again at
// once; one that comes back after a restart is followed within seconds.
func TestTriesWait_X6(t *testing.T) {
	const event = `{"type":"MODIFIED","object":{"kind":"ServiceImport","apiVersion":"multicluster.x-k8s.io/v1beta1",
		"metadata":{"name":"web","namespace":"ns","resourceVersion":"8"},"spec":{"type":"Headless"}}}`
	const gone = `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`
	for name, answer := range map[string]string{"ends after an event": event, "loses the place": gone, "loses it after an event": event + gone, "ends at once": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const outage, most = 3 * time.Second, 2*10 + 2 // a try after a watch is two requests, see follow.NewTries
			var requests atomic.Int32                      // during the outage
			began, followed := time.Now(), make(chan struct{}, 100)
			s := importServer(t, func(w http.ResponseWriter, r *http.Request) {
				out := time.Since(began) < outage
				if out {
					requests.Add(1)
				}
				switch {
				case r.URL.Query().Get("watch") == "":
					fmt.Fprint(w, listOfOne)
				case r.URL.Query().Get("sendInitialEvents") != "":
					fmt.Fprintf(w, allTold, "8")
					if out {
						fmt.Fprint(w, answer)
						return
					}
					w.(http.Flusher).Flush()
					followed <- struct{}{}
					<-r.Context().Done()
				case out:
					fmt.Fprint(w, answer)
				default:
					w.(http.Flusher).Flush()
					followed <- struct{}{}
					<-r.Context().Done()
				}
			})
			runStream(t, s)
			select {
			case <-followed:
			case <-time.After(outage + 3*tryEvery):
				t.Error("it is not followed again")
			}
			if got := requests.Load(); got < 1 || got > most {
				t.Errorf("%d requests in %s, want at most %d", got, outage, most)
			}
		})
	}
}
