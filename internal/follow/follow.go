// Package follow lists and watches one kind of objects of an API server, and hands them to a sink as they come. It keeps none of
// them, and knows nothing of what they mean. CoreDNS and the controller list and watch API servers by it only.
//
// The life of a [Follower], in the order of time:
//
//	all objects       read page by page (pages.go), or streamed as the first events of a watch (KEP-3157)
//	a watch           opened from the version of the list or of the last event, with bookmarks
//	its end           in order, by a broken connection, or because nothing came for 90 s (SPEC L10): all look alike, and
//	one question      so the server is asked whether it still knows that version; one restored from a backup counts from an
//	                  earlier one, would accept the watch, and stay silent (SPEC D16)
//	the next watch    from that version, so that what was deleted meanwhile comes as a deletion, not as an absence (SPEC L6)
//	an unknown place  where the server has forgotten the version (410), or never had it: all objects once more
//	a failure         is reported ([State]) until a watch is open again; a wait follows that grows while failures do (tries.go)
//
// However a server answers, it is asked a bounded number of times ([NewTries], SPEC X6), and whatever hangs has a deadline (SPEC L11).
package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/kubeclient"
)

const (
	// Silence is how long a watch may say nothing. A server sends a bookmark every minute, so that a connection which is silent for
	// longer may be dead without either end knowing.
	Silence = 90 * time.Second
	// Patience is how long a server may take to open a watch, or to send more of a page.
	Patience = 30 * time.Second
	// minWatch is the shortest life of a watch; the longest is twice as long, so that watches don't end together.
	minWatch = 5 * time.Minute
)

var (
	// errTooOften is the state of a follower that has used up its tries; the reason for the last of them follows it.
	errTooOften = errors.New("the API server was asked too often; waiting")
	// errNoVersion and errLongVersion refuse what no honest server sends. An empty version would mean that nothing was read yet.
	errNoVersion   = errors.New("no resourceVersion came with it")
	errLongVersion = fmt.Errorf("a resourceVersion of more than %d bytes came with it", kubeclient.VersionBytes)
)

// ErrDropped, in an error of [Sink.Set], says that the sink has no room for an object of a watch. What makes room again, such as a
// deletion, comes after it, so all objects are read once more.
var ErrDropped = errors.New("an event was dropped")

// Object is an object of an API server.
type Object interface {
	metav1.Object
	runtime.Object
}

// Sink takes objects as they come. Its methods are called by one goroutine, and must not wait. An error is a failure of the stream:
// an object of a type that was not asked for, or more objects in a list than the sink has room for. One that is [ErrDropped] has all
// objects read once more.
type Sink interface {
	Begin()              // all objects will be set once from now on; what came since an earlier Begin without End does not count
	Set(Object) error    // an object is there
	Remove(Object) error // an object is gone
	End(version string)  // all objects of that version were set since Begin
}

// Source is where objects come from; usually a [REST].
type Source interface {
	// Page reads a page of a list. When it returns, all of the page has come.
	Page(context.Context, metav1.ListOptions) (Page, error)
	Watch(context.Context, metav1.ListOptions) (Feed, error)
}

// Page decodes a page of a list.
type Page func() (runtime.Object, error)

// Feed is an open watch.
type Feed interface {
	// Next waits for the next event, and returns its type and its object, which is a *metav1.Status where the type is ERROR. It
	// returns an error where the watch ended, or what came can't be decoded; no event comes after that.
	Next() (watch.EventType, runtime.Object, error)
	Close()
}

// State is how following is going.
type State struct {
	// Synced is true from the time at which all objects were read once, and a watch of their changes was open.
	Synced bool
	// Err is why objects are not followed now, after the name of the stream; nil while they are, and before the first try.
	Err error
}

// Follower follows one stream of objects. Only Connect and Sink have to be set, before [Follower.Run].
type Follower struct {
	// Name of the stream, for people, with which its errors begin; "" where who is told adds it.
	Name string
	// Connect returns the source. It is called again after each failure.
	Connect func(context.Context) (Source, error)
	Sink    Sink
	// Changed is called with the state after each success and each failure; nil if nobody asks.
	Changed func(State)

	// Reader reads pages.
	Reader
	// Initial asks for all objects as the first events of a watch. Where that is refused they are read in pages, that time.
	Initial bool
	// Silence is how long a watch may say nothing; 0 for [Silence].
	Silence time.Duration
	// Tries bounds the requests, together with those of others that share it; nil for a bound of its own. See [NewTries].
	Tries *rate.Limiter
	// Wait is the wait after a failure.
	Wait Backoff

	kick     chan struct{}
	makeKick sync.Once

	// Used by Run only.
	version    string // seen last; empty: all objects have to be read
	unverified bool   // the server may have forgotten version, or never had it
	paged      bool   // the server refused to stream all objects
	opened     bool   // a watch was opened since the last failure
	again      error  // why the server is asked again although nothing failed: a watch ended, or lost its place

	mu    sync.Mutex
	state State
}

// To is a Connect for a source that stays the same.
func To(s Source) func(context.Context) (Source, error) {
	return func(context.Context) (Source, error) { return s, nil }
}

// State returns the present state.
func (f *Follower) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// setState notes a failure, or with nil that objects are followed.
func (f *Follower) setState(err error) {
	if err != nil && f.Name != "" {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	f.mu.Lock()
	f.state = State{f.state.Synced || err == nil, err}
	state := f.state
	f.mu.Unlock()
	if f.Changed != nil {
		f.Changed(state)
	}
}

// Kick ends the wait after a failure, if there is one.
func (f *Follower) Kick() {
	select {
	case f.kicks() <- struct{}{}:
	default:
	}
}

func (f *Follower) kicks() chan struct{} {
	f.makeKick.Do(func() { f.kick = make(chan struct{}, 1) })
	return f.kick
}

// Run follows the objects until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	if f.Tries == nil {
		f.Tries = NewTries(triesEvery)
	}
	for {
		err := f.untilFailure(ctx)
		if ctx.Err() != nil {
			return
		}
		f.setState(err)
		f.unverified = true
		if f.opened {
			f.Wait.Reset()
		}
		f.opened = false
		select {
		case <-ctx.Done():
			return
		case <-f.kicks():
		case <-time.After(f.Wait.Next()):
		}
	}
}

// untilFailure follows the objects until something goes wrong. What ended in order, or lost its place, goes on at once.
func (f *Follower) untilFailure(ctx context.Context) error {
	source, err := f.Connect(ctx)
	verified := false
	for err == nil {
		if !verified { // a place that was found needs no try of its own for the watch that goes on from it
			if err = f.awaitTry(ctx); err != nil {
				break
			}
		}
		checks := f.version != "" && f.unverified
		err = f.step(ctx, source)
		if f.lostPlace(err) {
			f.version, f.again, err = "", err, nil
		}
		verified = checks && f.version != ""
	}
	return err
}

// awaitTry waits until the server may be asked again. The state says so meanwhile, and why it is asked again.
func (f *Follower) awaitTry(ctx context.Context) error {
	if ctx.Err() != nil || f.Tries.Allow() {
		return ctx.Err()
	}
	if f.State().Err == nil {
		err := errTooOften
		if f.again != nil {
			err = fmt.Errorf("%w: %w", err, f.again)
		}
		f.setState(err)
	}
	return f.Tries.Wait(ctx)
}

// step makes one request, or reads one list.
func (f *Follower) step(ctx context.Context, s Source) error {
	switch {
	case f.version != "" && f.unverified:
		return f.checkPlace(ctx, s)
	case f.version != "":
		return f.events(ctx, s, metav1.ListOptions{ResourceVersion: f.version}, func() { f.setState(nil) })
	case f.Initial && !f.paged:
		return f.stream(ctx, s)
	}
	return f.list(ctx, s)
}

// lostPlace reports whether the server can't go on from where the follower was: neither with a watch, nor with the next page of a list.
func (f *Follower) lostPlace(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || f.version != "" && apierrors.IsInvalid(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) || errors.Is(err, ErrDropped)
}

// checkPlace looks whether the server still knows the version to go on from.
func (f *Follower) checkPlace(ctx context.Context, s Source) error {
	list, err := f.Page(ctx, s, metav1.ListOptions{Limit: 1}, func(Object) error { return nil })
	if err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	if ahead, err := resourceversion.CompareResourceVersion(f.version, list.ResourceVersion); err == nil && ahead > 0 {
		f.version = ""
	}
	f.unverified = false
	return nil
}

// list reads all objects page by page. Next time they are streamed again: what kept a server from it may have passed.
func (f *Follower) list(ctx context.Context, s Source) error {
	f.Sink.Begin()
	list, err := f.Pages(ctx, s, metav1.ListOptions{}, f.Sink.Set)
	if err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	f.paged = false
	f.Sink.End(list.ResourceVersion)
	f.version, f.unverified = list.ResourceVersion, false
	return nil
}

// stream reads all objects as events of a watch, and then their changes, if the server can do that (KEP-3157).
func (f *Follower) stream(ctx context.Context, s Source) error {
	opts := metav1.ListOptions{SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	err := f.events(ctx, s, opts, f.Sink.Begin)
	if f.version == "" && unstreamable(err) {
		f.paged, err = true, nil
	}
	return err
}

// unstreamable reports whether a server refused to stream all objects, as the answer or as the first event: those that don't know
// how call the request bad, those whose etcd can't tell its progress have an internal error, and one whose cache does not catch up
// times out.
func unstreamable(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsInternalError(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// events opens a watch, calls opened, and hands its events to the sink. It returns nil when the watch ended in order or fell silent.
func (f *Follower) events(ctx context.Context, s Source, opts metav1.ListOptions, opened func()) error {
	opts.AllowWatchBookmarks = true
	opts.TimeoutSeconds = ptr.To(int64((minWatch + rand.N(minWatch)).Seconds()))
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	f.unverified = true // of the next one: the end of a watch whose server was killed looks like that of one whose time is over
	late := &kubeclient.Stalled{For: f.patience()}
	opening := deadline(late, giveUp)
	feed, err := s.Watch(ctx, opts)
	if err == nil {
		defer feed.Close()
	}
	if !opening.Stop() {
		err = late
	}
	if err != nil {
		return fmt.Errorf("opening a watch: %w", excerpt.Error(err))
	}
	opened()
	f.opened = true
	began := time.Now()
	silent := &kubeclient.Stalled{For: or(f.Silence, Silence)}
	silence := deadline(silent, giveUp)
	defer silence.Stop()
	for {
		kind, object, err := feed.Next()
		switch {
		case err == nil:
		case f.version == "":
			return fmt.Errorf("a watch ended before all objects had arrived: %w", because(ctx, err))
		case context.Cause(ctx) == error(silent), inOrder(err):
			f.again = fmt.Errorf("a watch ended after %v", time.Since(began).Round(time.Second))
			return nil
		default:
			return fmt.Errorf("watching: %w", because(ctx, err))
		}
		silence.Reset(silent.For)
		if err := f.apply(kind, object); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
}

// deadline returns a timer that gives up what nothing came of.
func deadline(s *kubeclient.Stalled, giveUp context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(s.For, func() { giveUp(s) })
}

// inOrder reports whether a watch ended as one does whose time is over, or whose connection broke.
func inOrder(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err)
}

// because returns why ctx ended, if it did, or err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return excerpt.Error(err)
}

// apply brings one event of a watch into the sink.
func (f *Follower) apply(event watch.EventType, o runtime.Object) error {
	if event == watch.Error {
		return excerpt.Error(apierrors.FromObject(o))
	}
	object, ok := o.(Object)
	if !ok {
		return fmt.Errorf("got a %T", o)
	}
	version := object.GetResourceVersion()
	if version == "" && event != watch.Bookmark {
		return errNoVersion
	}
	var err error
	switch event {
	case watch.Added, watch.Modified:
		err = f.Sink.Set(object)
	case watch.Deleted:
		err = f.Sink.Remove(object)
	case watch.Bookmark:
	default:
		err = fmt.Errorf("unknown event %q", excerpt.Of(string(event), excerpt.Line))
	}
	switch {
	case err != nil || version == "" || len(version) > kubeclient.VersionBytes:
	case f.version != "":
		f.version = version
	case event == watch.Bookmark && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true":
		f.Sink.End(version)
		f.version = version
		f.setState(nil)
	}
	return err
}

// or returns d, or what is to be used in its place if it is 0.
func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
