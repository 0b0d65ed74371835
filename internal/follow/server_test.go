package follow

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
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go logs every answer that it can't read
	m.Run()
}

// answer is what a server does with one request.
type answer func(w http.ResponseWriter, r *http.Request)

// server is an API server of namespaces that answers requests one by one as it is told to, and then is quiet and honest.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	asked   []string
}

func newServer(t *testing.T, answers ...answer) *server {
	t.Helper()
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	next := quiet
	s.mu.Lock()
	s.asked = append(s.asked, asks(r))
	if len(s.answers) > 0 {
		next, s.answers = s.answers[0], s.answers[1:]
	} else if r.URL.Query().Get("watch") == "" {
		next = list("100")
	}
	s.mu.Unlock()
	next(w, r)
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// asks says what a request asks for.
func asks(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case q.Get("sendInitialEvents") == "true":
		return "stream"
	case q.Get("watch") == "true" && q.Get("allowWatchBookmarks") != "true":
		return "watch without bookmarks"
	case q.Get("watch") == "true":
		return "watch " + q.Get("resourceVersion")
	case q.Get("limit") == "1":
		return "check"
	}
	return strings.TrimSpace("page " + q.Get("continue"))
}

// follower returns one of the server's namespaces, in a hurry.
func (s *server) follower(t *testing.T, sink Sink) *Follower {
	t.Helper()
	c, err := kubeclient.New(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.HangUp)
	kube, err := kubernetes.NewForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return &Follower{
		Name: "namespaces", Connect: To(&REST{Client: kube.CoreV1().RESTClient(), Resource: "namespaces"}), Sink: sink,
		Wait: Backoff{First: time.Millisecond, Most: 10 * time.Millisecond},
	}
}

// start runs a follower until the test ends.
func start(t *testing.T, f *Follower) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// eventually waits until ok.
func eventually(t *testing.T, ok func() bool, what func() any) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-ticks.C:
		case <-late:
			t.Fatal(what())
		}
	}
}

func item(name, version string, more ...string) string {
	return fmt.Sprintf(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q,"resourceVersion":%q%s}}`, name, version, strings.Join(more, ""))
}

// listing answers with a page, after which there is more unless the token is "".
func listing(version, token string, items ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":%q,"continue":%q},"items":[%s]}`, version, token, strings.Join(items, ","))
	}
}

func list(version string, names ...string) answer {
	var items []string
	for _, name := range names {
		items = append(items, item(name, "1"))
	}
	return listing(version, "", items...)
}

func event(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`+"\n", kind, object)
}

const allTold = `,"annotations":{"k8s.io/initial-events-end":"true"}`

func status(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

// events answers with an open watch that has events and then ends.
func sends(events ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, strings.Join(events, ""))
		_ = http.NewResponseController(w).Flush()
	}
}

// stays answers like sends, and then with silence.
func stays(events ...string) answer {
	return func(w http.ResponseWriter, r *http.Request) {
		sends(events...)(w, r)
		<-r.Context().Done()
	}
}

func fails(code int, reason string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, status(code, reason))
	}
}

// hangs never answers, quiet opens a watch in which nothing happens.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

var quiet = stays()

// notes is a sink that notes what it gets.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) note(what ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, strings.Join(what, " "))
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

func (n *notes) Begin() { n.note("begin") }

func (n *notes) End(version string) { n.note("end", version) }

func (n *notes) Set(o Object) error { return n.only("set", o) }

func (n *notes) Remove(o Object) error { return n.only("remove", o) }

func (n *notes) only(what string, o Object) error {
	if _, ok := o.(*corev1.Namespace); !ok {
		return fmt.Errorf("got a %T", o)
	}
	n.note(what, o.GetName())
	return nil
}
