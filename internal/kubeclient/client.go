// Package kubeclient makes the clients of Kubernetes API servers, all of them: the controller's, the plugin's and mcsctl's.
//
// The API server of a member may be hostile (SPEC X6). A client that this package makes talks to the registered host only and
// follows no redirect; it reads no more of an answer, of one event of a watch, and of headers than their budgets
// (budgets.go), counted after decompression; and every error that it returns has a short text without control characters. It
// never decides what a failed request means for a member.
package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/connrotation"
)

// dialTimeout is how long it may take to open a network connection, and the time between two keep-alives on it.
const dialTimeout = 15 * time.Second

// Client is what one API server is reached with. Typed and REST clients are made from both fields, by the functions of
// client-go whose names end in ForConfigAndClient.
type Client struct {
	// Config is a copy of what [New] was given, by which whatever is made from it is guarded, too.
	Config *rest.Config
	// HTTP sends all requests.
	HTTP *http.Client

	dialer *connrotation.Dialer
}

// requestPatience is how long nothing may come of the answer to a request. An API server itself gives a request up after a minute
// (--request-timeout), admission webhooks included.
const requestPatience = 65 * time.Second

// New returns a client for cfg, which is not changed. It shares its network connections with no other. A request of it ends when nothing
// comes of its answer for 65 s, even if its context has no deadline (SPEC L11).
func New(cfg *rest.Config) (*Client, error) { return newClient(cfg, requestPatience) }

func newClient(cfg *rest.Config, patience time.Duration) (*Client, error) {
	cfg = rest.CopyConfig(cfg)
	server, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, err
	}
	dial := (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialTimeout}).DialContext
	if cfg.Dial != nil {
		dial = cfg.Dial
	}
	c := &Client{Config: cfg, dialer: connrotation.NewDialer(dial)}
	cfg.Dial = c.dialer.DialContext // also, a dialer of its own is why client-go caches no transport for others
	cfg.WarningHandler, cfg.WarningHandlerWithContext = nil, rest.NoWarnings{}
	cfg.WrapTransport = transport.Wrappers(func(rt http.RoundTripper) http.RoundTripper { return &guard{server, rt, patience} }, cfg.WrapTransport)
	var bounded error
	once := rest.CopyConfig(cfg)
	once.WrapTransport = transport.Wrappers(func(rt http.RoundTripper) http.RoundTripper {
		bounded = boundHeaders(rt)
		return rt
	}, cfg.WrapTransport)
	c.HTTP, err = rest.HTTPClientFor(once)
	if err = errors.Join(err, bounded); err != nil {
		return nil, err
	}
	c.HTTP.CheckRedirect = refuseRedirects
	return c, nil
}

// HangUp closes the network connections, in use or not.
func (c *Client) HangUp() { c.dialer.CloseAll() }

// Server is the address of the API server.
func (c *Client) Server() *url.URL {
	server, _, _ := rest.DefaultServerUrlFor(c.Config) // [New] did not fail
	return server
}

// boundHeaders sets the budget of headers. It must be set before the first request.
func boundHeaders(rt http.RoundTripper) error {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			t.MaxResponseHeaderBytes = headerBytes
			return nil
		case utilnet.RoundTripperWrapper:
			rt = t.WrappedRoundTripper()
		default:
			return fmt.Errorf("a transport of type %T has no bound on headers", rt)
		}
	}
}

// refuseRedirects is never asked, since a guard lets no redirect through.
func refuseRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// measure is the context key of a Meter.
type measure struct{}

// withMeter returns a context for requests whose answers' bytes are added to n.
func withMeter(ctx context.Context, n *int64) context.Context {
	return context.WithValue(ctx, measure{}, n)
}
