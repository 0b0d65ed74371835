package members

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// Requests knows which requests are under way, so that a command that takes too long can tell for whom it waits.
type Requests struct {
	mu   sync.Mutex
	open map[*request]struct{}
	sent map[string]int // by server
}

type request struct {
	server, what string
	began        time.Time
}

type requestsKey struct{}

// Track returns a context whose requests, to all clusters, are tracked.
func Track(ctx context.Context) (context.Context, *Requests) {
	r := &Requests{open: map[*request]struct{}{}, sent: map[string]int{}}
	return context.WithValue(ctx, requestsKey{}, r), r
}

// Oldest describes the request that is under way for the longest time, or says that there is none.
func (r *Requests) Oldest() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var oldest *request
	for q := range r.open {
		if oldest == nil || q.began.Before(oldest.began) {
			oldest = q
		}
	}
	if oldest == nil {
		return "no request was under way"
	}
	text := fmt.Sprintf("waiting %s for %s from %s", time.Since(oldest.began).Round(10*time.Millisecond), oldest.what, oldest.server)
	if n := r.sent[oldest.server]; n > 1 {
		text += fmt.Sprintf(", the last of %d requests to it", n)
	}
	return text
}

func (r *Requests) begin(hr *http.Request) (end func()) {
	q := &request{server: hr.URL.Scheme + "://" + hr.URL.Host, what: hr.Method + " " + excerpt.Of(hr.URL.Path, excerpt.Line), began: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[q] = struct{}{}
	r.sent[q.server]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, q)
	}
}

// tracker is a transport that tells the Requests of a request's context when it begins, and when its answer was read.
type tracker struct{ next http.RoundTripper }

func track(next http.RoundTripper) http.RoundTripper { return &tracker{next} }

// WrappedRoundTripper implements the interface by which client-go finds the transport.
func (t *tracker) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements http.RoundTripper.
func (t *tracker) RoundTrip(hr *http.Request) (*http.Response, error) {
	requests, ok := hr.Context().Value(requestsKey{}).(*Requests)
	if !ok {
		return t.next.RoundTrip(hr)
	}
	end := requests.begin(hr)
	answer, err := t.next.RoundTrip(hr)
	if err != nil || answer.StatusCode == http.StatusSwitchingProtocols {
		end()
		return answer, err
	}
	answer.Body = &tracked{answer.Body, end}
	return answer, nil
}

// tracked is the body of an answer.
type tracked struct {
	io.ReadCloser
	end func()
}

func (b *tracked) Close() error {
	b.end()
	return b.ReadCloser.Close()
}
