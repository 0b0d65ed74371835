package provider

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// bookmarkEvery is how often a watch that wants to is told how far it is, when nothing else tells it.
const bookmarkEvery = time.Minute

// watch sends what happened since the given version and then what happens, until the client goes, its time is over, or the
// cluster is down.
func (c *Cluster) watch(w http.ResponseWriter, r *http.Request, k kind) {
	c.watches.Add(1)
	defer c.watches.Add(-1)
	query := r.URL.Query()
	since, err := strconv.Atoi(query.Get("resourceVersion"))
	selector, err2 := labels.Parse(query.Get("labelSelector"))
	if err != nil || err2 != nil {
		fail(w, apierrors.NewBadRequest("want a resourceVersion and a labelSelector that can be read"))
		return
	}
	seconds, _ := strconv.Atoi(query.Get("timeoutSeconds"))
	over := time.After(time.Duration(max(seconds, 60)) * time.Second)
	bookmarks := time.NewTicker(bookmarkEvery)
	defer bookmarks.Stop()
	out := newStream(w, r, k)
	for !c.down.Load() {
		events, version, more, err := c.since(since)
		if err != nil {
			out.send("ERROR", status(err))
			return
		}
		for _, e := range events {
			if e.kind != k.Kind {
				continue
			}
			if o := k.object(c, k.TypeMeta, e.name, e.change); selector.Matches(labels.Set(o.GetLabels())) {
				out.send(e.verb, o)
			}
		}
		since = version
		out.flush()
		select {
		case <-more:
		case <-bookmarks.C:
			o := k.object(c, k.TypeMeta, "", change{version: since})
			if query.Get("allowWatchBookmarks") == "true" {
				out.send("BOOKMARK", o)
			}
		case <-over:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// since returns the events after a version, the version of the last of them, and what is closed at the next.
func (c *Cluster) since(version int) ([]happened, int, <-chan struct{}, *apierrors.StatusError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if version < c.oldest {
		return nil, 0, nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", version, c.oldest))
	}
	i := len(c.log) // versions count one by one from the oldest
	for i > 0 && c.log[i-1].version > version {
		i--
	}
	return slices.Clone(c.log[i:]), c.version, c.waiting, nil
}

// stream is a watch as a client reads it.
type stream struct {
	out    io.Writer
	flush  func()
	object runtime.Encoder // of what an event is about
	frame  runtime.Encoder // of the event
}

func newStream(w http.ResponseWriter, r *http.Request, k kind) *stream {
	s := &stream{out: w}
	object, contentType := encoder(r, k.protobuf)
	s.object = object
	if contentType == runtime.ContentTypeProtobuf {
		contentType += ";stream=watch"
		s.frame, s.out = protobuf.NewRawSerializer(scheme.Scheme, scheme.Scheme), protobuf.LengthDelimitedFramer.NewFrameWriter(w)
	} else {
		s.frame, s.out = json.NewSerializerWithOptions(json.DefaultMetaFactory, nil, nil, json.SerializerOptions{}), w
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	s.flush = func() { _ = control.Flush() }
	s.flush()
	return s
}

// send sends one event. It fails when the client is gone, which the caller sees elsewhere.
func (s *stream) send(verb string, o runtime.Object) {
	if raw, err := runtime.Encode(s.object, o); err == nil {
		_ = s.frame.Encode(&metav1.WatchEvent{Type: verb, Object: runtime.RawExtension{Raw: raw}}, s.out)
	}
}
