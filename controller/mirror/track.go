package mirror

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Track follows one resource of multicluster.x-k8s.io through the versions that its cluster serves. Another version syncs
// first and then replaces the one before; a version that goes away without another leaves what was known (SPEC A7, L6).
// What changes it is called by the connection's loop only.
type Track[T Object] struct {
	Current atomic.Pointer[Version[T]]
	// Served says whether the API server serves the resource at all, as far as it last answered.
	Served atomic.Bool

	// Next syncs, to replace current.
	Next atomic.Pointer[Version[T]]
}

// Version is a resource at one API version.
type Version[T Object] struct {
	Name   string
	Client rest.Interface
	Feed   *Feed[T]
	Stop   context.CancelFunc
}

// Follow is told which version is served, "" for none, and starts a version where it must.
func (t *Track[T]) Follow(served string, start func(version string) (*Version[T], error)) error {
	returned := !t.Served.Swap(served != "") && served != ""
	current := t.Current.Load()
	if returned && current != nil {
		current.Feed.Store.Suspect()
	}
	if served == "" || current != nil && current.Name == served {
		t.drop()
		if returned && current != nil {
			current.Feed.Kick()
		}
		return nil
	}
	if next := t.Next.Load(); next != nil && next.Name == served {
		return nil
	}
	t.drop()
	next, err := start(served)
	if err != nil {
		return err
	}
	t.Next.Store(next)
	return nil
}

// drop gives up the version that was syncing.
func (t *Track[T]) drop() {
	if next := t.Next.Swap(nil); next != nil {
		next.Stop()
	}
}

// Promote lets the next version replace the current one if it has synced. With live, readers are told what differs.
func (t *Track[T]) Promote(live bool) {
	next, old := t.Next.Load(), t.Current.Load()
	if next == nil || !next.Feed.State().Synced {
		return
	}
	t.Next.Store(nil)
	if old != nil {
		next.Feed.Store.Adopt(old.Feed.Store)
	}
	t.Current.Store(next)
	next.Feed.Store.Live.Store(live)
	if old != nil {
		old.Stop()
		if live {
			next.Feed.Store.TellDifference(old.Feed.Store)
		}
	}
}

// Stores are those of the current version and of the one that syncs, as far as there are any.
func (t *Track[T]) Stores() (stores []*Store[T]) {
	for _, v := range []*Version[T]{t.Current.Load(), t.Next.Load()} {
		if v != nil {
			stores = append(stores, v.Feed.Store)
		}
	}
	return stores
}

// State returns the state of the current version; unsynced while the resource is not served.
func (t *Track[T]) State() follow.State {
	current := t.Current.Load()
	if current == nil {
		return follow.State{}
	}
	s := current.Feed.State()
	s.Synced = s.Synced && t.Served.Load()
	return s
}

// Problem returns why the track does not follow its cluster; nil if it does.
func (t *Track[T]) Problem(resource string) error {
	if !t.Served.Load() {
		return fmt.Errorf("%s.%s: %w; install the CRDs of sigs.k8s.io/mcs-api", resource, mcsapi.Group, mcsapi.ErrNotServed)
	}
	if next := t.Next.Load(); next != nil {
		return next.Feed.State().Err
	}
	return t.State().Err
}

// Read returns the store of the current version, or nil.
func (t *Track[T]) Read() *Store[T] {
	if current := t.Current.Load(); current != nil {
		return current.Feed.Store
	}
	return nil
}

// Version returns the name of the current version, or "".
func (t *Track[T]) Version() string {
	if current := t.Current.Load(); current != nil {
		return current.Name
	}
	return ""
}

// Client returns the client of the current version, or nil.
func (t *Track[T]) Client() rest.Interface {
	if current := t.Current.Load(); current != nil {
		return current.Client
	}
	return nil
}

// Kick tells the feeds to try again at once.
func (t *Track[T]) Kick() {
	if current := t.Current.Load(); current != nil {
		current.Feed.Kick()
	}
	if next := t.Next.Load(); next != nil {
		next.Feed.Kick()
	}
}

func (t *Track[T]) GoLive() {
	if current := t.Current.Load(); current != nil {
		current.Feed.Store.Live.Store(true)
	}
}

func Adopt[T Object](t, old *Track[T]) {
	if s, o := t.Read(), old.Read(); s != nil && o != nil {
		s.Adopt(o)
	}
}

func TellDifference[T Object](t, old *Track[T]) {
	if s, o := t.Read(), old.Read(); s != nil && o != nil {
		s.TellDifference(o)
	}
}
