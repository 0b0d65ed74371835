package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Kind is how objects of one kind of one cluster are listed and watched, and what is kept of them.
type Kind[T Object] struct {
	// Resource names the stream for people: "serviceexports.multicluster.x-k8s.io/v1beta1".
	Resource string
	// Source is where the objects of a namespace, or of all with "", come from.
	Source func(namespace string) follow.Source
	// Trim drops from a fresh object what nobody reads.
	Trim func(T)
	// ClusterWide says that the objects are in no namespace.
	ClusterWide bool
	// About narrows a list of one namespace to the objects of a name, for stores with a selection.
	About func(opts *metav1.ListOptions, name string)
}

// Feed keeps a store equal to one kind of one cluster. It is what stands between a [follow.Follower] and the store: the door by which
// objects come in, and the list that is collected until it is whole.
type Feed[T Object] struct {
	Kind  Kind[T]
	Store *Store[T]
	// Malformed is told of objects with names that none can have; nil if nobody asks.
	Malformed func(kind string, err error)

	// Share has room for the pages of its cluster that are read at once, see [PagesOfOne]; nil for a share without bound.
	Share chan struct{}
	// Tries bounds them, together with those of feeds before this one; nil for a bound of its own. See [follow.NewTries].
	Tries *rate.Limiter
	// Silence and Patience are the deadlines of [follow.Follower]; 0 for its own.
	Silence, Patience time.Duration

	// Started is used by who runs it.
	Started bool

	follower follow.Follower
	// changed is told when the state changes, told is the one it was last told of.
	changed func()
	told    follow.State

	// list is what of a full list came so far, with the keys in it, and listing says that there is one.
	list    []T
	keys    keys
	listing bool
}

func NewFeed[T Object](k Kind[T], s *Store[T], changed func()) *Feed[T] {
	return &Feed[T]{Kind: k, Store: s, changed: changed}
}

// State returns the present state.
func (f *Feed[T]) State() follow.State { return f.follower.State() }

// Kick ends the wait before the next try, if there is one.
func (f *Feed[T]) Kick() { f.follower.Kick() }

// Run follows the cluster until ctx ends.
func (f *Feed[T]) Run(ctx context.Context) {
	f.follower.Name, f.follower.Connect, f.follower.Sink = f.Kind.Resource, follow.To(f.Kind.Source("")), f
	f.follower.Reader, f.follower.Silence, f.follower.Tries = f.reader(), f.Silence, f.Tries
	f.follower.Changed = func(s follow.State) {
		if s.Err != nil { // a list that failed may be as large as the store, and the next begins anew
			f.list, f.keys = nil, keys{}
		}
		differs := f.told.Synced != s.Synced || (f.told.Err == nil) != (s.Err == nil)
		if f.told = s; differs {
			f.changed()
		}
	}
	f.follower.Run(ctx)
}

func (f *Feed[T]) reader() follow.Reader {
	return follow.Reader{Gate: gate{f.Share}, Patience: f.Patience, Keep: true}
}

// Begin implements [follow.Sink].
func (f *Feed[T]) Begin() {
	f.list, f.keys, f.listing = nil, keys{}, true
	f.Store.begin()
}

// End implements [follow.Sink].
func (f *Feed[T]) End(version string) {
	f.Store.replace(f.list, version)
	f.list, f.keys, f.listing = nil, nil, false
}

// Set implements [follow.Sink].
func (f *Feed[T]) Set(object follow.Object) error {
	o, admitted, err := f.admit(object)
	switch {
	case err != nil || !admitted:
		return err
	case f.listing:
		one := [1]T{o}
		kept := f.Store.sift(one[:])
		if err := addTo(f.keys, kept); err != nil {
			return err
		}
		f.list = append(f.list, kept...)
		return f.Store.list(kept)
	default:
		if err := f.Store.room(o); err != nil {
			return fmt.Errorf("%w: %w", follow.ErrDropped, err)
		}
		f.Store.take(change[T]{o, false})
	}
	return nil
}

// Remove implements [follow.Sink].
func (f *Feed[T]) Remove(object follow.Object) error {
	o, admitted, err := f.admit(object)
	if err == nil && admitted {
		f.Store.take(change[T]{o, true})
	}
	return err
}

// admit returns what of an object comes in, trimmed.
func (f *Feed[T]) admit(object follow.Object) (o T, admitted bool, err error) {
	o, ok := object.(T)
	if !ok {
		return o, false, fmt.Errorf("got a %T", object)
	}
	if !f.admits(o) {
		return o, false, nil
	}
	f.Kind.Trim(o)
	return o, true, nil
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

// Read reads a name that the store wants to know, once, and says whether it still wants it.
func (f *Feed[T]) Read(ctx context.Context, name types.NamespacedName) (wanted bool, err error) {
	since, wanted := f.Store.wanted(name)
	if !wanted {
		return false, nil
	}
	var items []T
	named := keys{}
	var taken map[types.NamespacedName]Weight // where there may be more of the name than a page has
	collect := func(object follow.Object) error {
		o, admitted, err := f.admit(object)
		if err != nil || !admitted {
			return err
		}
		one := []T{o}
		if taken != nil {
			one = f.Store.siftOf(one, taken)
		}
		items = append(items, one...)
		return addTo(named, one)
	}
	reader, source := f.reader(), f.Kind.Source(name.Namespace)
	opts := metav1.ListOptions{ResourceVersion: since, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
	f.Kind.About(&opts, name.Name)
	list, err := reader.Page(ctx, source, opts, collect)
	if exceeded := (*kubeclient.Exceeded)(nil); errors.As(err, &exceeded) {
		items, named, taken = nil, keys{}, map[types.NamespacedName]Weight{}
		opts.ResourceVersion, opts.ResourceVersionMatch = "", "" // pages don't come from a server's memory
		list, err = reader.Pages(ctx, source, opts, collect)
	}
	if err != nil {
		return true, fmt.Errorf("listing %s of %s: %w", f.Kind.Resource, name, err)
	}
	f.Store.learn(name, items, list.ResourceVersion)
	_, wanted = f.Store.wanted(name)
	return wanted, nil
}

// keys are those of the objects of one list. No honest list has one twice, and copies without end would fit into a name that is exported
// once (SPEC X6).
type keys map[types.NamespacedName]struct{}

// addTo notes the keys of objects, and returns an error for one that was there already.
func addTo[T Object](k keys, objects []T) error {
	for _, o := range objects {
		key := KeyOf(o)
		if _, twice := k[key]; twice {
			return fmt.Errorf("the list has %s twice", key)
		}
		k[key] = struct{}{}
	}
	return nil
}
