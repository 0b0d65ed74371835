package link

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
)

// A Tunnel is a proxy in front of an API server that ends connections on either side, as those of clusters behind a firewall do. What
// asks a question passes; it can lose watches, which neither side notices.
type Tunnel struct {
	server *httptest.Server

	mu   sync.Mutex
	lost chan struct{} // closed when the watches that are open now are lost
	shut bool
}

// NewTunnel returns a tunnel to the server of a URL, which reaches it by transport.
func NewTunnel(server string, transport http.RoundTripper) (*Tunnel, error) {
	to, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	t := &Tunnel{lost: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: transport, FlushInterval: -1, ModifyResponse: t.answer,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	t.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		shut := t.shut
		t.mu.Unlock()
		if shut && isWatch(r) {
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	return t, nil
}

// URL leads to the server. The tunnel's certificate is its own.
func (t *Tunnel) URL() string { return t.server.URL }

// Close ends the tunnel and what goes through it.
func (t *Tunnel) Close() {
	t.server.CloseClientConnections()
	t.server.Close()
}

// Lose has nothing more come of the watches that are open now.
func (t *Tunnel) Lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.lost)
	t.lost = make(chan struct{})
}

// Shut says whether no watch is opened any more: none is refused either.
func (t *Tunnel) Shut(shut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = shut
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" }

func (t *Tunnel) answer(resp *http.Response) error {
	if isWatch(resp.Request) {
		t.mu.Lock()
		defer t.mu.Unlock()
		resp.Body = &lossy{resp.Body, t.lost, resp.Request}
	}
	return nil
}

// lossy is the body of a watch that may be lost.
type lossy struct {
	io.ReadCloser
	lost    <-chan struct{}
	request *http.Request
}

func (l *lossy) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	select {
	case <-l.lost:
		<-l.request.Context().Done()
		return 0, errors.New("the watch was lost")
	default:
		return n, err
	}
}
