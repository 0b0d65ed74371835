package kubeclient

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// guard stands between a client and the network: under what adds credentials to a request, so that nothing above it, whatever
// it follows or copies, sends them to another host; over what decompresses an answer, so that decoded bytes are counted.
type guard struct {
	server   *url.URL
	next     http.RoundTripper
	patience time.Duration // for a request that nobody else gives up
}

// WrappedRoundTripper implements the interface by which client-go finds the transport.
func (g *guard) WrappedRoundTripper() http.RoundTripper { return g.next }

// RoundTrip implements http.RoundTripper. A request whose answer does not come, or stops coming, ends (SPEC L11), but for a watch, whose
// silence means nothing here.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if watches(r) || r.Header.Get("Upgrade") != "" || stalls(r.Context()) {
		return g.ask(r)
	}
	ctx, done := UntilStalled(r.Context(), g.patience)
	resp, err := g.ask(r.WithContext(ctx))
	if err != nil {
		err = stalled(ctx, err)
		done()
		return nil, err
	}
	resp.Body = &ending{resp.Body, ctx, done}
	return resp, nil
}

// ask sends a request and judges the answer.
func (g *guard) ask(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != g.server.Scheme || r.URL.Host != g.server.Host {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("a request to %s is not sent: credentials are for %s only", excerpt.Of(r.URL.Host, errorField), g.server.Host)
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, excerpt.Error(err)
	}
	came := progressOf(r.Context())
	came()
	if resp.StatusCode >= 200 && resp.Body != http.NoBody {
		resp.Body = &arriving{resp.Body, came}
	}
	resp.Status = strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)
	switch code := resp.StatusCode; {
	case code == http.StatusSwitchingProtocols && r.Header.Get(httpstream.HeaderProtocolVersion) != "":
		return resp, nil
	case code < 200:
		err = fmt.Errorf("%s: the server answered %s, which nobody asked for", named(r), resp.Status)
	case code >= 400:
		return shortError(r, resp), nil
	case code >= 300:
		err = fmt.Errorf("%s: the server answered %s, a redirect to %q, which is not followed: it is another address than the registered one, or should be registered",
			named(r), resp.Status, excerpt.Of(withoutQuery(resp.Header.Get("Location")), errorField))
	case !watches(r) && resp.Body != http.NoBody && disguised(r, resp):
		return undisguised(r, resp), nil
	default:
		err = g.bound(r, resp)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// bound bounds the body of an answer that is no error.
func (g *guard) bound(r *http.Request, resp *http.Response) error {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil && resp.Header.Get("Content-Type") != "" {
		media = "unknown"
	}
	b := &body{ReadCloser: resp.Body, request: named(r)}
	b.meter, _ = r.Context().Value(measure{}).(*int64)
	query := r.URL.Query()
	watch := watches(r)
	items := int64(itemsUnasked)
	if limit, err := strconv.ParseInt(query.Get("limit"), 10, 64); err == nil && limit > 0 {
		items = limit + moreItems
	}
	switch {
	case watch && media == runtime.ContentTypeProtobuf:
		b.check = &protobufFrames{}
	case watch:
		b.check = &jsonText{frames: true, most: eventBytes, items: itemsUnasked}
	case media == runtime.ContentTypeProtobuf:
		b.check = &protobufList{items: items}
	case media == runtime.ContentTypeJSON, media == "text/plain":
		b.check = &jsonText{items: items}
	case resp.ContentLength == 0, resp.Body == http.NoBody:
		return nil
	default: // YAML, for one, is decoded by client-go, and may be short and mean much
		return fmt.Errorf("%s: the answer is of type %q; want JSON or protobuf", named(r), excerpt.Of(resp.Header.Get("Content-Type"), errorField))
	}
	if b.left = budgetOf(r, g.server.Path); watch {
		b.left = -1
	}
	b.most = b.left
	resp.Body = b
	return nil
}

// watches reports whether a request is for a watch.
func watches(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

// named names a request for people: without what it selects, which may be long.
func named(r *http.Request) string { return r.Method + " " + r.URL.Host + r.URL.Path }

func withoutQuery(location string) string {
	before, _, _ := strings.Cut(location, "?")
	return before
}

// body is the body of an answer. Once its budget is spent it ends with an error.
type body struct {
	io.ReadCloser
	request string
	left    int64 // less than 0: any number
	most    int64
	check   check
	meter   *int64
	err     error
}

// check looks at the bytes of an answer as they come, and says what is wrong with them.
type check interface {
	take(p []byte) (what, most string)
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left >= 0 && int64(len(p)) > b.left+1 { // one byte more shows that there are more
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.meter != nil {
		*b.meter += int64(n)
	}
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return 0, b.fail("the answer", size(b.most))
		}
	}
	if what, most := b.check.take(p[:n]); what != "" {
		return 0, b.fail(what, most)
	}
	if err != nil && err != io.EOF {
		err = excerpt.Error(err)
	}
	return n, err
}

func (b *body) fail(what, most string) error {
	b.err = &Exceeded{Request: b.request, What: what, Most: most}
	_ = b.ReadCloser.Close()
	return b.err
}
