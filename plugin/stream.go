package multicluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/clusterset/multicluster/internal/kubeclient"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
	minWatch     = 5 * time.Minute  // the server ends a watch after this to twice this
	briefWatch   = time.Second      // a watch that ends earlier without an event is a failure
	maxSilence   = 90 * time.Second // of a watch, before another one takes its place
	// triesInARow and tryEvery bound how often a stream reads or watches, whatever the server answers: one that is broken or
	// hostile may send an event, or lose the place, with every watch. A restart takes a few tries.
	triesInARow = 10
	tryEvery    = maxBackoff
)

// errShortWatch says that watches end soon after they began, too often for another one at once.
var errShortWatch = errors.New("the API server ends watches soon after they began")

// errSilent is why a watch was given up: a server sends a bookmark every minute, so that a connection that has been silent for
// longer may be dead without either end knowing.
var errSilent = errors.New("nothing comes from the API server")

// sink takes the objects of one kind as they come.
type sink interface {
	set(runtime.Object)    // an object that is there, new or not
	remove(runtime.Object) // an object that is gone
	begin()                // all objects will be set once, beginning now
	end()                  // what was not set since begin is gone
}

// stream follows one kind of objects: it reads all of them once, then their changes, and starts over where the server
// forgot since when. It converts each object on arrival and keeps none. While the server is away it keeps trying.
type stream struct {
	kind     string // the resource and its group, for people
	part     string // tells the streams of one kind apart; "" where there is one
	selector string // label selector
	connect  func(context.Context) (*api, error)
	sink     sink
	health   *health
	silence  time.Duration // after which a watch is given up

	version string // resourceVersion seen last; empty: everything has to be read
	doubt   bool   // whether the server still counts from there
	paged   bool   // the server can't stream what exists, this time
	tries   *rate.Limiter
}

// name tells a stream from the others of its source.
func (s *stream) name() string { return s.part + s.kind }

// run follows the objects until ctx ends.
func (s *stream) run(ctx context.Context) {
	backoff := firstBackoff
	s.tries = rate.NewLimiter(rate.Every(tryEvery), triesInARow)
	for {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		s.health.failed(s.name(), err)
		s.doubt = true
		if time.Since(began) > maxBackoff {
			backoff = firstBackoff
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// follow connects and follows the objects until something goes wrong.
func (s *stream) follow(ctx context.Context) error {
	client, err := s.connect(ctx)
	for err == nil {
		if err := s.awaitTry(ctx); err != nil {
			return err
		}
		switch {
		case s.version != "" && s.doubt:
			err = s.checkPlace(ctx, client)
		case s.version != "":
			err = s.watch(ctx, client)
		case s.paged:
			err = s.list(ctx, client)
		default:
			err = s.streamAll(ctx, client)
		}
		if forgotten(err) && s.version != "" {
			s.version, err = "", nil
		}
	}
	return err
}

// awaitTry waits until the stream may ask its server again.
func (s *stream) awaitTry(ctx context.Context) error {
	if s.tries.Allow() {
		return nil
	}
	s.health.failed(s.name(), errShortWatch)
	return s.tries.Wait(ctx)
}

// forgotten reports whether the server doesn't know the resourceVersion that it was asked for, any more or yet.
func forgotten(err error) bool {
	return err != nil && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge))
}

// checkPlace looks whether the server still knows the version to go on from. One that was restored from a backup counts from an
// earlier version; it would accept the watch, and keep silent until it had counted up to there.
func (s *stream) checkPlace(ctx context.Context, client *api) error {
	page, err := client.page(ctx, &metav1.ListOptions{LabelSelector: s.selector, Limit: 1})
	if err != nil {
		return err
	}
	list, err := meta.ListAccessor(page)
	if err != nil {
		return err
	}
	if ahead, err := resourceversion.CompareResourceVersion(s.version, list.GetResourceVersion()); err == nil && ahead > 0 {
		s.version = ""
	}
	s.doubt = false
	return nil
}

// list reads all objects page by page. Next time they are streamed again: what kept a server from it may have passed.
func (s *stream) list(ctx context.Context, client *api) error {
	s.sink.begin()
	all, err := kubeclient.Pages(ctx, metav1.ListOptions{LabelSelector: s.selector}, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
		page, err := client.page(ctx, &opts)
		if err != nil {
			return 0, metav1.ListMeta{}, err
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return 0, metav1.ListMeta{}, err
		}
		objects := 0
		err = meta.EachListItem(page, func(o runtime.Object) error {
			objects++
			s.sink.set(o)
			return nil
		})
		return objects, metav1.ListMeta{ResourceVersion: list.GetResourceVersion(), Continue: list.GetContinue()}, err
	})
	if err != nil {
		return err
	}
	s.paged = false
	s.complete(all.ResourceVersion)
	return nil
}

// streamAll reads all objects as events of a watch, then their changes (KEP-3157), if the server can do that.
func (s *stream) streamAll(ctx context.Context, client *api) error {
	opts := metav1.ListOptions{
		SendInitialEvents:    ptr.To(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	}
	err := s.events(ctx, client, opts, s.sink.begin)
	if s.version == "" && unstreamable(err) {
		s.paged, err = true, nil
	}
	return err
}

// unstreamable reports whether a server refused to stream what exists, as the answer or as the first event: those that don't
// know how call the request bad, those whose etcd can't tell its progress have an internal error, and one whose cache does not
// catch up times out.
func unstreamable(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsInternalError(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// watch follows the changes since the version seen last.
func (s *stream) watch(ctx context.Context, client *api) error {
	return s.events(ctx, client, metav1.ListOptions{ResourceVersion: s.version}, func() { s.health.fine(s.name()) })
}

// events starts a watch, says when it is open, and hands its events to the sink. It returns nil when the watch ended in the
// ordinary way, or fell silent.
func (s *stream) events(ctx context.Context, client *api, opts metav1.ListOptions, opened func()) error {
	opts.Watch = true
	opts.AllowWatchBookmarks = true
	opts.LabelSelector = s.selector
	opts.TimeoutSeconds = ptr.To(int64((minWatch + rand.N(minWatch)).Seconds()))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(s.silence, func() { cancel(errSilent) })
	defer silence.Stop()
	feed, err := client.watch(ctx, &opts)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return err
	}
	defer feed.Close()
	opened()
	began := time.Now()
	for events := 0; ; events++ {
		kind, object, err := feed.Next()
		if err != nil {
			s.doubt = true // the end of a watch whose server was killed looks like that of one whose time is over
			brief := events == 0 && time.Since(began) < briefWatch && !errors.Is(context.Cause(ctx), errSilent)
			if s.version == "" || brief {
				return fmt.Errorf("the API server ended the watch early: %w", err)
			}
			return nil
		}
		silence.Reset(s.silence)
		if err := s.take(kind, object); err != nil {
			return err
		}
	}
}

func (s *stream) take(event watch.EventType, o runtime.Object) error {
	switch event {
	case watch.Error:
		return apierrors.FromObject(o)
	case watch.Added, watch.Modified:
		s.sink.set(o)
		s.health.event(s.name())
	case watch.Deleted:
		s.sink.remove(o)
		s.health.event(s.name())
	case watch.Bookmark:
	default:
		return fmt.Errorf("unknown event %q from the API server", event)
	}
	object, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	if s.version != "" && (event == watch.Added || event == watch.Modified) {
		observe(s.kind, object)
	}
	if s.version != "" {
		s.version = object.GetResourceVersion()
	} else if object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" && event == watch.Bookmark {
		s.complete(object.GetResourceVersion())
	}
	return nil
}

// complete notes that everything was read, as of a version.
func (s *stream) complete(version string) {
	s.sink.end()
	s.version = version
	s.health.fine(s.name())
	s.health.loaded(s.name())
}
