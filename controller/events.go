package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	eventsclient "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/lru"

	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// maxNote is the length of an Event's note, in bytes; API servers refuse more than 1 KiB.
const maxNote = 1000

// An object has so many Events in a row, and then one in so much time, as client-go's recorder of core/v1 allows: what members
// say is in the texts, and each text is an Event (SPEC X6).
const (
	eventsInARow = 25
	eventEvery   = 5 * time.Minute
	eventObjects = 4096 // that are remembered for that
)

// An importing cluster has so many in a row, and then one in so much time, whatever they are about: a member has as many names as it
// likes, each Event stays in etcd for an hour, and the recorder keeps those of the last minutes to count equal ones (SPEC X6). The
// broadcaster queues as many; what they would say is in the conditions of the import. What no condition has, see
// [plan.Event.Announces], has a budget of the same size of its own, so that it is not lost among what else members cause.
const (
	clusterEventsInARow = 1000
	clusterEventEvery   = time.Second
)

// recorder writes Events into one cluster, off the reconciling path; what the cluster refuses is dropped.
type recorder struct {
	broadcaster events.EventBroadcaster
	events      events.EventRecorder
	changes     eventBudget // Events that tell what conditions have
	announced   eventBudget // those that no condition has
	log         *slog.Logger
	leftOut     rate.Sometimes // for log
}

// eventBudget is how many Events there may be.
type eventBudget struct {
	rates *lru.Cache // of [rate.Limiter], by object
	all   *rate.Limiter
}

func newEventBudget() eventBudget {
	return eventBudget{lru.New(eventObjects), rate.NewLimiter(rate.Every(clusterEventEvery), clusterEventsInARow)}
}

func newRecorder(ctx context.Context, kube func() kubernetes.Interface, log *slog.Logger) *recorder {
	b := events.NewBroadcaster(eventSink(kube))
	if err := b.StartRecordingToSinkWithContext(ctx); err != nil {
		log.Error("Events will not be recorded", "err", err)
	}
	r := recorderTo(b.NewRecorder(scheme.Scheme, mcsapi.ManagedBy), log)
	r.broadcaster = b
	return r
}

// recorderTo returns a recorder that has had no Events.
func recorderTo(to events.EventRecorder, log *slog.Logger) *recorder {
	return &recorder{
		events: to, log: log, leftOut: rate.Sometimes{Interval: eventEvery},
		changes: newEventBudget(), announced: newEventBudget(),
	}
}

func (r *recorder) stop() { r.broadcaster.Shutdown() }

// record writes what happened to an object; the same happening again counts up the series of its Event. The library joins all
// Events of one reason about one reference, whatever they say, and a second text would be lost: so the reference holds the
// text, too, as its resourceVersion, until [eventSink] writes it.
func (r *recorder) record(about *corev1.ObjectReference, what []plan.Event) {
	for _, e := range what {
		budget := &r.changes
		if e.Announces {
			budget = &r.announced
		}
		if !r.allows(budget, about.UID) {
			continue
		}
		note, series := excerpt.Of(e.Message, maxNote), *about
		series.ResourceVersion = note
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		r.events.Eventf(&series, nil, kind, e.Reason, "Reconcile", "%s", note)
	}
}

// allows says whether there may be one more Event of a budget about an object now. What the object's own bound stops takes nothing
// from others.
func (r *recorder) allows(of *eventBudget, about types.UID) bool {
	limit, ok := of.rates.Get(about)
	if !ok {
		limit = rate.NewLimiter(rate.Every(eventEvery), eventsInARow)
		of.rates.Add(about, limit)
	}
	if !limit.(*rate.Limiter).Allow() {
		return false
	}
	if of.all.Allow() {
		return true
	}
	r.leftOut.Do(func() {
		r.log.Warn("too many Events for one cluster: some are left out; conditions have what most of them would say", "in a row", clusterEventsInARow, "then one in", clusterEventEvery.String())
	})
	return false
}

// eventSink writes Events with the client that is current when each is written: credentials may have been rotated.
type eventSink func() kubernetes.Interface

func (s eventSink) Create(ctx context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	client, err := s.events(e)
	if err != nil {
		return nil, err
	}
	return client.Create(ctx, toWrite(e), metav1.CreateOptions{})
}

func (s eventSink) Update(ctx context.Context, e *eventsv1.Event) (*eventsv1.Event, error) {
	client, err := s.events(e)
	if err != nil {
		return nil, err
	}
	return client.Update(ctx, toWrite(e), metav1.UpdateOptions{})
}

func (s eventSink) Patch(ctx context.Context, e *eventsv1.Event, data []byte) (*eventsv1.Event, error) {
	client, err := s.events(e)
	if err != nil {
		return nil, err
	}
	return client.Patch(ctx, e.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{})
}

// toWrite returns an Event as it is written, without what only [recorder.record] needs. The Event itself is the library's.
func toWrite(e *eventsv1.Event) *eventsv1.Event {
	written := *e
	written.Regarding.ResourceVersion = ""
	return &written
}

// events returns a client for an Event; there is none once the cluster is refused, while Events are still to be written.
func (s eventSink) events(e *eventsv1.Event) (eventsclient.EventInterface, error) {
	kube := s()
	if kube == nil {
		return nil, fmt.Errorf("writing Event %s/%s: the cluster is not connected", e.Namespace, e.Name)
	}
	return kube.EventsV1().Events(e.Namespace), nil
}
