package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Times and sizes of list and watch.
const (
	// listTimeout is for one page; a server that hangs must not hold a feed for ever.
	listTimeout = time.Minute
	// pagesAtOnce is how many pages this process reads at once, of all clusters together. When hundreds of them are listed after
	// a start, decoding takes all of its CPU: with more at once it would take more memory, and answers to probes would wait for
	// so long that clusters counted as out of reach. pageTurn is the longest that one page keeps another from its turn, so that
	// clusters which don't answer delay nobody (SPEC L5).
	pagesAtOnce = 32
	// PagesOfOne is how many of them are of one cluster, so that a few slow ones don't hold all.
	PagesOfOne = 4
	pageTurn   = 2 * time.Second
	// watchTimeout is the shortest life of a watch; the longest is twice as long, so that watches don't end together.
	watchTimeout = 5 * time.Minute
	// triesInARow and tryEvery bound how often a feed asks its server, whatever that answers: a watch that opens proves nothing,
	// nor does an event, since a server that is broken or hostile may send one, or an error, with every watch (SPEC X6). An
	// outage, a restored server and a CRD that is installed late take a few tries.
	triesInARow = 10
	tryEvery    = 15 * time.Second
)

// errShortWatch says that watches end soon after they began, too often for another one at once.
var errShortWatch = errors.New("the server ends watches soon after they began")

// errNoVersion says that a list or an object came without one.
var errNoVersion = errors.New("no resourceVersion came with it")

// errLongVersion says that a list came with a version that no honest server has.
var errLongVersion = fmt.Errorf("a resourceVersion of more than %d bytes came with it", kubeclient.VersionBytes)

// Kind is how objects of one kind of one cluster are listed and watched, and what is kept of them.
type Kind[T Object] struct {
	// Resource names it for people: "serviceexports.multicluster.x-k8s.io/v1beta1".
	Resource string
	// List lists one namespace, or all with "".
	List  func(ctx context.Context, namespace string, opts metav1.ListOptions) (items []T, meta metav1.ListMeta, err error)
	Watch func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
	// Trim drops from a fresh object what nobody reads.
	Trim func(T)
	// ClusterWide says that the objects are in no namespace.
	ClusterWide bool
	// About narrows a list of one namespace to the objects of a name, for stores with a selection.
	About func(opts *metav1.ListOptions, name string)
}

// Feed keeps a store equal to one kind of one cluster. It is client-go's reflector but for three things that many clusters
// need: after a broken connection it resumes the watch where it was rather than list again, so that deletions are seen as
// such and not guessed from absence (SPEC L6); it can be told to try again at once; and its waits end with the context.
type Feed[T Object] struct {
	Kind  Kind[T]
	Store *Store[T]
	kick  chan struct{}
	// changed is told when state changes.
	changed func()
	// Malformed is told of objects with names that none can have; nil if nobody asks.
	Malformed func(kind string, err error)

	// Share has room for the pages of its cluster that are read at once, see [PagesOfOne]; nil for a share without bound.
	Share chan struct{}
	// Tries bounds them, together with those of feeds before this one; nil for a bound of its own. See [NewTries].
	Tries *rate.Limiter

	// Started is used by who runs it.
	Started bool
	// Used by run only: the version of the last list or event, empty before the first list; and whether the last try opened a
	// watch.
	version string
	opened  bool

	mu    sync.Mutex
	state feedState
}

// feedState is what a feed says of itself.
type feedState struct {
	// Synced is true from the first full list on.
	Synced bool
	// Err is why the feed does not follow its cluster now; nil while it does.
	Err error
}

func NewFeed[T Object](k Kind[T], s *Store[T], changed func()) *Feed[T] {
	return &Feed[T]{Kind: k, Store: s, kick: make(chan struct{}, 1), changed: changed}
}

// State returns the present state.
func (f *Feed[T]) State() feedState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *Feed[T]) setState(s feedState) {
	f.mu.Lock()
	differs := f.state.Synced != s.Synced || (f.state.Err == nil) != (s.Err == nil)
	f.state = s
	f.mu.Unlock()
	if differs {
		f.changed()
	}
}

// Kick ends the wait before the next try, if there is one.
func (f *Feed[T]) Kick() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// NewTries returns the bound of a kind's tries. Where feeds of one kind follow each other, they share it: a server decides how often
// another version is followed.
func NewTries() *rate.Limiter { return rate.NewLimiter(rate.Every(tryEvery), triesInARow) }

// Run follows the cluster until ctx ends. A watch that ended in order, or lost its place, is followed by the next try at once;
// anything else by a wait, which grows until a watch opens. [triesInARow] and [tryEvery] bound the tries of every kind.
func (f *Feed[T]) Run(ctx context.Context) {
	delay, tries := NewBackoff(), f.Tries
	if tries == nil {
		tries = NewTries()
	}
	if tries.Wait(ctx) != nil {
		return
	}
	for {
		f.opened = false
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.opened {
			delay.reset()
		}
		lost := lostPlace(err)
		if lost {
			f.version = ""
		}
		if (err == nil || lost) && tries.Allow() {
			continue
		}
		if err == nil {
			err = errShortWatch
		}
		f.setState(feedState{Synced: f.State().Synced, Err: fmt.Errorf("%s: %w", f.Kind.Resource, err)})
		select {
		case <-ctx.Done():
		case <-f.kick:
		case <-time.After(delay.Next()):
		}
		if tries.Wait(ctx) != nil {
			return
		}
	}
}

// follow lists if there is no place to resume from, and then watches until the watch ends. It returns nil if that ended in order.
func (f *Feed[T]) follow(ctx context.Context) error {
	if f.version != "" {
		if err := f.checkPlace(ctx); err != nil {
			return err
		}
	}
	if f.version == "" {
		items, version, err := f.listAll(ctx)
		if err != nil {
			return err
		}
		f.Store.replace(items, version)
		f.version = version
	}
	seconds := int64((watchTimeout + rand.N(watchTimeout)).Seconds())
	w, err := f.Kind.Watch(ctx, metav1.ListOptions{
		ResourceVersion: f.version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil {
		return fmt.Errorf("watching: %w", err)
	}
	defer w.Stop()
	f.setState(feedState{Synced: true})
	f.opened = true
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-w.ResultChan():
			if !open {
				return nil
			}
			if err := f.take(event); err != nil {
				return fmt.Errorf("watching: %w", err)
			}
		}
	}
}

// checkPlace looks whether the server still knows the version to resume from. One that was restored from a backup counts
// from an earlier version; it would accept the watch, and keep silent until it had counted up to there. That is asked before
// every watch: the end of one whose server was killed looks like that of one whose time was over.
func (f *Feed[T]) checkPlace(ctx context.Context) error {
	_, meta, err := f.page(ctx, "", metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("listing: %w", err)
	}
	if newer(f.version, meta.ResourceVersion) {
		f.version = ""
	}
	return nil
}

// listAll returns all objects that the store may keep, page by page, and the version of the list.
func (f *Feed[T]) listAll(ctx context.Context) ([]T, string, error) {
	var all []T
	f.Store.begin()
	list, err := kubeclient.Pages(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
		items, list, err := f.page(ctx, "", opts)
		if err == nil {
			kept := f.Store.sift(items)
			all, err = append(all, kept...), f.Store.list(kept)
		}
		return len(items), list, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing: %w", err)
	}
	return all, list.ResourceVersion, nil
}

func (f *Feed[T]) page(ctx context.Context, namespace string, opts metav1.ListOptions) ([]T, metav1.ListMeta, error) {
	done, err := takeTurn(ctx, f.Share)
	if err != nil {
		return nil, metav1.ListMeta{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	items, meta, err := f.Kind.List(ctx, namespace, opts)
	if err == nil && meta.ResourceVersion == "" {
		err = errNoVersion // which would mean here that there is no list yet
	}
	if err == nil && len(meta.ResourceVersion) > kubeclient.VersionBytes {
		err = errLongVersion
	}
	items = slices.DeleteFunc(items, func(o T) bool { return !f.admits(o) })
	for _, o := range items {
		f.Kind.Trim(o)
	}
	return items, meta, err
}

// admits is the door by which objects come in: one whose name or namespace none can have must not become a key, since some
// of those mean something here (SPEC X2).
func (f *Feed[T]) admits(o T) bool {
	err := mcsapi.Wellformed(o, !f.Kind.ClusterWide)
	if err != nil && f.Malformed != nil {
		f.Malformed(f.Kind.Resource, err)
	}
	return err == nil
}

// turns has room for the pages that are read.
var turns = make(chan struct{}, pagesAtOnce)

// takeTurn waits until a page may be read. The turn ends with done, or after [pageTurn].
// A cluster waits for a turn of its own share first.
func takeTurn(ctx context.Context, share chan struct{}) (done func(), err error) {
	leave := func() {}
	if share != nil {
		select {
		case share <- struct{}{}:
			leave = func() { <-share }
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
	done = sync.OnceFunc(func() { <-turns; leave() })
	time.AfterFunc(pageTurn, done)
	return done, nil
}

// Read reads a name that the store wants to know, once, and says whether it still wants it.
func (f *Feed[T]) Read(ctx context.Context, name types.NamespacedName) (wanted bool, err error) {
	since, wanted := f.Store.wanted(name)
	if !wanted {
		return false, nil
	}
	opts := metav1.ListOptions{ResourceVersion: since, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	f.Kind.About(&opts, name.Name)
	items, meta, err := f.page(ctx, name.Namespace, opts)
	if exceeded := (*kubeclient.Exceeded)(nil); errors.As(err, &exceeded) {
		items, opts.ResourceVersion, opts.ResourceVersionMatch = nil, "", "" // pages don't come from a server's memory
		taken := map[types.NamespacedName]Weight{}
		meta, err = kubeclient.Pages(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
			some, list, err := f.page(ctx, name.Namespace, opts)
			if err == nil {
				items = append(items, f.Store.siftOf(slices.Clone(some), taken)...)
			}
			return len(some), list, err
		})
	}
	if err != nil {
		return true, fmt.Errorf("listing %s of %s: %w", f.Kind.Resource, name, err)
	}
	f.Store.learn(name, items, meta.ResourceVersion)
	_, wanted = f.Store.wanted(name)
	return wanted, nil
}

// take brings one event of the watch into the store.
func (f *Feed[T]) take(event watch.Event) error {
	if event.Type == watch.Error {
		return excerpt.Error(apierrors.FromObject(event.Object))
	}
	if event.Type == watch.Bookmark {
		if m, ok := event.Object.(metav1.Object); ok && m.GetResourceVersion() != "" && len(m.GetResourceVersion()) <= kubeclient.VersionBytes {
			f.version = m.GetResourceVersion()
		}
		return nil
	}
	o, ok := event.Object.(T)
	if !ok {
		return fmt.Errorf("got a %T", event.Object)
	}
	if o.GetResourceVersion() == "" {
		return errNoVersion
	}
	admitted := f.admits(o)
	if len(o.GetResourceVersion()) <= kubeclient.VersionBytes {
		f.version = o.GetResourceVersion()
	}
	if !admitted {
		return nil
	}
	f.Kind.Trim(o)
	gone := event.Type == watch.Deleted
	if err := f.Store.room(o); err != nil && !gone {
		f.version = "" // the event is lost
		return err
	}
	f.Store.take(change[T]{o, gone})
	return nil
}

// lostPlace says whether the server can't resume a watch from the version it was given, so that only a list helps.
func lostPlace(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// Own returns the items of a list, each in memory of its own, so that one that lives long does not keep its whole page.
func Own[E any](items []E) []*E {
	list := make([]*E, len(items))
	for i := range items {
		o := items[i]
		list[i] = &o
	}
	return list
}

// backoff gives growing waits with jitter.
type backoff struct{ wait time.Duration }

const (
	backoffFirst = 500 * time.Millisecond
	backoffMost  = 30 * time.Second
)

func NewBackoff() *backoff { return &backoff{} }

// Next returns the wait before the next try: twice the last one, within limits, less up to half so that many feeds that
// failed together don't try together.
func (b *backoff) Next() time.Duration {
	b.wait = min(max(2*b.wait, backoffFirst), backoffMost)
	return b.wait - rand.N(b.wait/2)
}

// reset makes the next wait the shortest again.
func (b *backoff) reset() { b.wait = 0 }
