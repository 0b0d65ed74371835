// Package hostile runs this module's programs against a member whose API server lies (SPEC X6).
package hostile

import (
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clusterset/multicluster/test/bench/provider"
)

// token is what must stay between a program and the registered host.
const token = "t0k3n"

// bombBytes is how much a bomb comes to, about 0.5 MiB on the wire.
const bombBytes = 512 << 20

// A liar is an API server over TLS that answers some requests as a test wants, and others as a provider does.
type liar struct {
	*httptest.Server
	elsewhere *httptest.Server
	lies      atomic.Int64 // that were asked for
	stray     atomic.Int64 // requests that arrived elsewhere
}

// question is a kind of request.
type question string

const (
	probe question = "probe" // and everything else that is no object
	get   question = "get"
	list  question = "list"
	watch question = "watch"
)

func asked(r *http.Request) question {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Query().Get("watch") != "":
		return watch
	case parts[0] == "version" || parts[0] == "apis" && len(parts) <= 3:
		return probe
	case r.URL.Query().Get("limit") != "":
		return list
	}
	return get
}

// lie is an answer.
type lie func(l *liar, w http.ResponseWriter, r *http.Request)

// newLiar returns a server that answers questions of one kind with a lie.
func newLiar(t *testing.T, to question, tell lie) *liar {
	t.Helper()
	l := &liar{}
	l.elsewhere = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.stray.Add(1)
		fmt.Fprint(w, "the keys of the kingdom")
	}))
	t.Cleanup(l.elsewhere.Close)
	honest := provider.New("p", 1, []string{"first"}, 2, 1)
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked(r) == to:
			l.lies.Add(1)
			tell(l, w, r)
		case r.URL.Path == "/version":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"gitVersion":"v1.37.0"}`)
		default:
			honest.ServeHTTP(w, r)
		}
	}))
	l.EnableHTTP2 = true
	l.Config.ErrorLog = log.New(io.Discard, "", 0)
	l.StartTLS()
	t.Cleanup(l.Server.Close)
	t.Cleanup(func() { honest.SetDown(true); l.CloseClientConnections() })
	return l
}

// kubeconfig writes the registration of the liar.
func (l *liar) kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: %s}}]
`, l.URL, token)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// redirect sends a client away, with what it has.
func redirect(l *liar, w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, l.elsewhere.URL+"/latest/meta-data/iam", http.StatusTemporaryRedirect)
}

// bomb is an answer that is much longer than it looks.
func bomb(_ *liar, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	head := `{"kind":"List","apiVersion":"v1","metadata":{"name":"`
	if asked(r) == watch {
		head = `{"type":"ADDED","object":` + head
	}
	var body io.Writer = w
	if r.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		body, _ = gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	rest := strings.Repeat("a", 1<<16)
	_, err := io.WriteString(body, head)
	for n := 0; err == nil && n < bombBytes; n += len(rest) {
		_, err = io.WriteString(body, rest)
	}
}

// abuse is a refusal with 4 MiB of text that clears a screen and begins lines.
func abuse(_ *liar, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Warning", `299 - "`+strings.Repeat("\\x1b[2J", 100)+`"`)
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":%q}`,
		"kingdom"+strings.Repeat("\x1b[2J\nlevel=ERROR ", 4<<20/19))
}

// headers never end.
func headers(_ *liar, w http.ResponseWriter, _ *http.Request) {
	for n := range 2000 {
		w.Header().Add("X-More", strings.Repeat("x", 1000)+fmt.Sprint(n))
	}
}
