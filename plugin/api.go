package multicluster

import (
	"context"
	"io"
	"time"

	"github.com/clusterset/multicluster/plugin/decode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// pageTimeout is how long one page of a list may take.
const pageTimeout = time.Minute

// clientConfig returns a configuration for one stream of events, or two, that say little and should say it soon.
func clientConfig(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // requests are few, and failures have a back-off of their own
	cfg.UserAgent = "coredns-" + pluginName
	cfg.DisableCompression = true // it costs either side more than it saves on the way between them, for each event anew
	// HTTP/2 shares a connection between many streams, at the price of a goroutine that hands each event over and of messages
	// to tell the server that it may go on. That a connection is dead is noticed by its silence (stream.go).
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// api reads one kind of objects from an API server.
type api struct {
	client   rest.Interface
	resource string
	feed     func(io.ReadCloser) decode.Feed
}

func (a *api) get(opts *metav1.ListOptions) *rest.Request {
	return a.client.Get().Resource(a.resource).VersionedParams(opts, metav1.ParameterCodec)
}

// page reads one page of a list.
func (a *api) page(ctx context.Context, opts *metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return a.get(opts).Do(ctx).Get()
}

// watch starts a watch.
func (a *api) watch(ctx context.Context, opts *metav1.ListOptions) (decode.Feed, error) {
	body, err := a.get(opts).Stream(ctx)
	if err != nil {
		return nil, err
	}
	return a.feed(body), nil
}
