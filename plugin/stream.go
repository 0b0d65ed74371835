package multicluster

import (
	"context"
	"time"

	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/decode"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// tryEvery is the time between two tries of a stream once it has tried several times in a row.
	tryEvery = maxBackoff
)

// discoveryTimeout is how long an API server may take to say what it serves.
const discoveryTimeout = 10 * time.Second

// Selectors of EndpointSlices: those of our controller, in use and in reserve, and those that others made for ServiceImports. A
// slice of ours that comes into use or goes into reserve is changed within one stream, so that no answer misses it in between;
// were it to leave one stream for another, nothing would say in which order the two are heard of (SPEC G1, P3).
const (
	oursSelector   = mcsapi.LabelClusterSet
	othersSelector = mcsapi.LabelServiceName + ",!" + mcsapi.LabelClusterSet
)

// newStreams returns what a source follows: ServiceImports, and EndpointSlices unless they are not wanted. What the view holds
// already goes once everything was read that is there now.
func newStreams(s *source, cfg *rest.Config) []*stream {
	cfg = clientConfig(cfg)
	wanted := newWanted(s.key.namespaces)
	streams := []*stream{{
		kind:    "serviceimports." + mcsapi.Group,
		connect: importClient(cfg, s.key.labels),
		sink:    &importSink{view: s.view, zone: &s.zone, wanted: wanted, told: told{}, dirty: s.inherited},
	}}
	if s.key.noEndpoints {
		return streams
	}
	client := sliceClient(cfg)
	for _, part := range []struct{ name, selector string }{{"ours/", oursSelector}, {"others/", othersSelector}} {
		streams = append(streams, &stream{
			kind:    "endpointslices." + discoveryv1.GroupName,
			part:    part.name,
			connect: client(part.selector),
			sink:    &sliceSink{part: part.name, view: s.view, zone: &s.zone, wanted: wanted, told: told{}, dirty: s.inherited},
		})
	}
	return streams
}

// stream is one kind of objects, or a part of it, on its way from the API server into a sink: it converts each object on arrival and
// keeps none.
type stream struct {
	kind    string // the resource and its group, for people
	part    string // tells the streams of one kind apart; "" where there is one
	connect func(context.Context) (follow.Source, error)
	sink    sink
	health  *health
	silence time.Duration // after which a watch is given up; 0 for [follow.Silence]

	all bool // what comes is not a change, but what there is
}

// name tells a stream from the others of its source.
func (s *stream) name() string { return s.part + s.kind }

// run follows the objects until ctx ends.
func (s *stream) run(ctx context.Context) {
	f := &follow.Follower{
		Connect: s.connect, Sink: s, Changed: s.told, Initial: true, Silence: s.silence,
		Tries: follow.NewTries(tryEvery), Wait: follow.Backoff{First: firstBackoff, Most: maxBackoff},
	}
	f.Run(ctx)
}

func (s *stream) told(state follow.State) {
	if state.Err != nil {
		s.health.failed(s.name(), state.Err)
		return
	}
	s.health.fine(s.name())
}

// Begin implements [follow.Sink].
func (s *stream) Begin() {
	s.all = true
	s.sink.begin()
}

// End implements [follow.Sink].
func (s *stream) End(string) {
	s.all = false
	s.sink.end()
	s.health.loaded(s.name())
}

// Set implements [follow.Sink].
func (s *stream) Set(o follow.Object) error {
	s.sink.set(o)
	s.health.event(s.name())
	if !s.all {
		observe(s.kind, o)
	}
	return nil
}

// Remove implements [follow.Sink].
func (s *stream) Remove(o follow.Object) error {
	s.sink.remove(o)
	s.health.event(s.name())
	return nil
}

// clientConfig returns a configuration for one stream of events, or two, that say little and should say it soon.
func clientConfig(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // requests are few, and failures have a back-off of their own
	cfg.UserAgent = "coredns-" + pluginName
	cfg.DisableCompression = true // it costs either side more than it saves on the way between them, for each event anew
	// HTTP/2 shares a connection between many streams, at the price of a goroutine that hands each event over and of messages
	// to tell the server that it may go on. That a connection is dead is noticed by its silence ([follow.Silence]).
	cfg.NextProtos = []string{"http/1.1"}
	return cfg
}

// importClient returns a function that asks which version of the API is served, each time, and returns a source of its ServiceImports.
func importClient(cfg *rest.Config, selector string) func(context.Context) (follow.Source, error) {
	const resource = "serviceimports"
	sources := map[string]follow.Source{}
	c, failed := kubeclient.New(cfg)
	return func(ctx context.Context) (follow.Source, error) {
		if failed != nil {
			return nil, failed
		}
		d, err := discovery.NewDiscoveryClientForConfigAndClient(c.Config, c.HTTP)
		if err != nil {
			return nil, err
		}
		version, err := mcsapi.ServedVersion(ctx, d, discoveryTimeout, resource)
		if err != nil {
			return nil, err
		}
		if sources[version] == nil {
			cfg := mcsapi.Config(c.Config, version)
			cfg.NegotiatedSerializer = decode.ImportCodecs(cfg.NegotiatedSerializer)
			client, err := rest.RESTClientForConfigAndClient(cfg, c.HTTP)
			if err != nil {
				return nil, err
			}
			sources[version] = &follow.REST{Client: client, Resource: resource, Selector: selector, Feed: decode.NewImportFeed}
		}
		return sources[version], nil
	}
}

// sliceClient returns a function that returns a source of the EndpointSlices that a selector selects. All share their connections.
func sliceClient(cfg *rest.Config) func(selector string) func(context.Context) (follow.Source, error) {
	c, err := kubeclient.New(cfg)
	var client rest.Interface
	codecs := decode.SliceCodecs()
	if err == nil {
		cfg = rest.CopyConfig(c.Config)
		cfg.APIPath = "/apis"
		cfg.GroupVersion = &discoveryv1.SchemeGroupVersion
		cfg.ContentType = runtime.ContentTypeProtobuf
		cfg.AcceptContentTypes = runtime.ContentTypeProtobuf
		cfg.NegotiatedSerializer = codecs
		client, err = rest.RESTClientForConfigAndClient(cfg, c.HTTP)
	}
	return func(selector string) func(context.Context) (follow.Source, error) {
		source := &follow.REST{Client: client, Resource: "endpointslices", Selector: selector, Feed: decode.NewSliceFeed(codecs)}
		return func(context.Context) (follow.Source, error) { return source, err }
	}
}
