package follow

import (
	"context"
	"errors"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// REST is one resource of an API server, as a source.
type REST struct {
	Client    rest.Interface
	Resource  string
	Namespace string // "" for all, or for what is in none
	Selector  string // label selector, with which that of a request is combined
	// Feed decodes the answer to a watch; nil for what the client decodes with.
	Feed func(io.ReadCloser) Feed
}

func (r *REST) get(opts metav1.ListOptions) *rest.Request {
	switch {
	case opts.LabelSelector == "":
		opts.LabelSelector = r.Selector
	case r.Selector != "":
		opts.LabelSelector = r.Selector + "," + opts.LabelSelector
	}
	return r.Client.Get().NamespaceIfScoped(r.Namespace, r.Namespace != "").Resource(r.Resource).VersionedParams(&opts, metav1.ParameterCodec)
}

// Page implements [Source].
func (r *REST) Page(ctx context.Context, opts metav1.ListOptions) (Page, error) {
	result := r.get(opts).Do(ctx)
	return result.Get, result.Error()
}

// Watch implements [Source].
func (r *REST) Watch(ctx context.Context, opts metav1.ListOptions) (Feed, error) {
	opts.Watch = true
	if r.Feed != nil {
		body, err := r.get(opts).Stream(ctx)
		if err != nil {
			return nil, err
		}
		return r.Feed(body), nil
	}
	w, err := r.get(opts).Watch(ctx)
	if err != nil {
		return nil, err
	}
	if _, opened := w.(*watch.StreamWatcher); !opened { // client-go calls a connection that breaks meanwhile a watch without events
		w.Stop()
		return nil, errors.New("the connection broke before an answer came")
	}
	return Events(ctx, w), nil
}

// Events is a watch of client-go as a feed.
func Events(ctx context.Context, w watch.Interface) Feed { return events{ctx, w} }

type events struct {
	ctx context.Context
	w   watch.Interface
}

func (e events) Next() (watch.EventType, runtime.Object, error) {
	select {
	case <-e.ctx.Done():
		return "", nil, e.ctx.Err()
	case event, open := <-e.w.ResultChan():
		if !open {
			return "", nil, io.EOF
		}
		return event.Type, event.Object, nil
	}
}

func (e events) Close() { e.w.Stop() }
