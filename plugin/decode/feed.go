package decode

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/clusterset/multicluster/internal/follow"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
)

// importFeed is a watch of ServiceImports, whose events are read off the connection in one go. As with every feed here they are decoded
// where they are asked for, on the goroutine that takes them.
type importFeed struct {
	body    io.Closer
	decoder *json.Decoder
}

// NewImportFeed returns the feed of what a server sends as the answer to a watch of ServiceImports, as JSON.
func NewImportFeed(body io.ReadCloser) follow.Feed { return &importFeed{body, json.NewDecoder(body)} }

func (f *importFeed) Close() { f.body.Close() }

// leanEvent carries an import, or says what is wrong (metav1.Status).
type leanEvent struct {
	Type   watch.EventType `json:"type"`
	Object struct {
		leanImport
		Code    int32                 `json:"code"`
		Reason  metav1.StatusReason   `json:"reason"`
		Message string                `json:"message"`
		Details *metav1.StatusDetails `json:"details"`
	} `json:"object"`
}

func (f *importFeed) Next() (watch.EventType, runtime.Object, error) {
	var event leanEvent
	if err := f.decoder.Decode(&event); err != nil {
		return "", nil, err
	}
	o := &event.Object
	switch o.Kind {
	case importKind:
		return event.Type, o.serviceImport(), nil
	case "Status":
		return event.Type, &metav1.Status{Code: o.Code, Reason: o.Reason, Message: o.Message, Details: o.Details}, nil
	}
	return "", nil, fmt.Errorf("a %q came in place of a ServiceImport", o.Kind)
}

// sliceFeed is a watch of EndpointSlices.
type sliceFeed struct {
	events  streaming.Decoder
	objects runtime.Decoder
}

// NewSliceFeed returns a function that makes the feed of an answer to a watch of EndpointSlices, as the protobuf of these codecs.
func NewSliceFeed(codecs runtime.NegotiatedSerializer) func(io.ReadCloser) follow.Feed {
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	return func(body io.ReadCloser) follow.Feed {
		stream := info.StreamSerializer
		return &sliceFeed{streaming.NewDecoder(stream.Framer.NewFrameReader(body), stream.Serializer), info.Serializer}
	}
}

func (f *sliceFeed) Close() { f.events.Close() }

func (f *sliceFeed) Next() (watch.EventType, runtime.Object, error) {
	var event metav1.WatchEvent
	if _, _, err := f.events.Decode(nil, &event); err != nil {
		return "", nil, err
	}
	o, err := runtime.Decode(f.objects, event.Object.Raw)
	return watch.EventType(event.Type), o, err
}
