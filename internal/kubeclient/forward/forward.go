// Package forward reaches ports of pods through an API server, with the bounds of package kubeclient.
package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	clientspdy "k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/kubeclient"
)

const (
	// openingBytes is what a server may send before it opens the way to a pod: certificates, headers, or why it does not.
	openingBytes = 512 << 10
	pingPeriod   = 5 * time.Second
)

// Port opens a port on the loopback interface that leads to a port of the pod whose subresource portforward has the address
// at, until stop or the end of ctx.
func Port(ctx context.Context, c *kubeclient.Client, at *url.URL, port int) (address string, stop func(), err error) {
	transport, upgrader, err := roundTripper(c)
	if err != nil {
		return "", nil, err
	}
	dialer := clientspdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	stopped, opened, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stopped, opened, io.Discard, io.Discard)
	if err != nil {
		return "", nil, err
	}
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case <-opened:
	case err := <-failed:
		return "", nil, excerpt.Error(err)
	case <-ctx.Done():
		close(stopped)
		return "", nil, ctx.Err()
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) == 0 {
		close(stopped)
		return "", nil, errors.Join(err, errors.New("no port was opened"))
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[0].Local)), func() { close(stopped) }, nil
}

// roundTripper returns what sends one request to open a connection of SPDY. It reads the answer itself, without a bound, so
// that the bound is on the network connection. Over a proxy it makes that connection itself, too, which then has none.
func roundTripper(c *kubeclient.Client) (http.RoundTripper, clientspdy.Upgrader, error) {
	secure, err := rest.TLSConfigFor(c.Config)
	if err != nil {
		return nil, nil, err
	}
	if secure == nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12} // nil would mean that no certificate is verified
	}
	proxy := c.Config.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	via, err := proxy(&http.Request{URL: c.Server()})
	if err != nil {
		return nil, nil, err
	}
	o := &opening{}
	config := spdy.RoundTripperConfig{PingPeriod: pingPeriod}
	if via != nil {
		config.TLS, config.Proxier = secure, proxy
	} else {
		config.UpgradeTransport = &http.Transport{TLSClientConfig: secure, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := c.Config.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &boundConn{conn, o}, nil
		}}
	}
	upgrader, err := spdy.NewRoundTripperWithConfig(config)
	if err != nil {
		return nil, nil, err
	}
	o.next = upgrader
	wrapped, err := rest.HTTPWrappersForConfig(c.Config, o)
	return wrapped, clientspdy.NewUpgraderForStreaming(upgrader), err
}

// opening is the exchange that opens a connection. It is a round tripper for that one request.
type opening struct {
	next http.RoundTripper
	read atomic.Int64
	done atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (o *opening) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		o.done.Store(true)
	}
	return resp, err
}

// boundConn is a network connection on which little is read until the exchange is over.
type boundConn struct {
	net.Conn
	opening *opening
}

// Read implements net.Conn.
func (c *boundConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.opening.read.Add(int64(n)) > openingBytes && !c.opening.done.Load() {
		return 0, fmt.Errorf("the server sent more than %d bytes before it opened the port", openingBytes)
	}
	return n, err
}
