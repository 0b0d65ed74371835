package clusters

import (
	"context"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// track follows one resource of multicluster.x-k8s.io through the versions that its cluster serves. Another version syncs
// first and then replaces the one before; a version that goes away without another leaves what was known (SPEC A7, L6).
// What changes it is called by the connection's loop only.
type track[T object] struct {
	current atomic.Pointer[version[T]]
	// served says whether the API server serves the resource at all, as far as it last answered.
	served atomic.Bool

	// next syncs, to replace current.
	next atomic.Pointer[version[T]]
}

// version is a resource at one API version.
type version[T object] struct {
	name   string
	client rest.Interface
	feed   *feed[T]
	stop   context.CancelFunc
}

// follow is told which version is served, "" for none, and starts a version where it must.
func (t *track[T]) follow(served string, start func(version string) (*version[T], error)) error {
	returned := !t.served.Swap(served != "") && served != ""
	current := t.current.Load()
	if returned && current != nil {
		current.feed.store.suspect()
	}
	if served == "" || current != nil && current.name == served {
		t.drop()
		if returned && current != nil {
			current.feed.Kick()
		}
		return nil
	}
	if next := t.next.Load(); next != nil && next.name == served {
		return nil
	}
	t.drop()
	next, err := start(served)
	if err != nil {
		return err
	}
	t.next.Store(next)
	return nil
}

// drop gives up the version that was syncing.
func (t *track[T]) drop() {
	if next := t.next.Swap(nil); next != nil {
		next.stop()
	}
}

// promote lets the next version replace the current one if it has synced, and says whether it did. With live, readers are
// told what differs.
func (t *track[T]) promote(live bool) bool {
	next, old := t.next.Load(), t.current.Load()
	if next == nil || !next.feed.State().Synced {
		return false
	}
	t.next.Store(nil)
	if old != nil {
		next.feed.store.adopt(old.feed.store)
	}
	t.current.Store(next)
	next.feed.store.live.Store(live)
	if old != nil {
		old.stop()
		if live {
			next.feed.store.tellDifference(old.feed.store)
		}
	}
	return true
}

// stores are those of the current version and of the one that syncs, as far as there are any.
func (t *track[T]) stores() (stores []*store[T]) {
	for _, v := range []*version[T]{t.current.Load(), t.next.Load()} {
		if v != nil {
			stores = append(stores, v.feed.store)
		}
	}
	return stores
}

// state returns the state of the current version; unsynced while the resource is not served.
func (t *track[T]) state() feedState {
	current := t.current.Load()
	if current == nil {
		return feedState{}
	}
	s := current.feed.State()
	s.Synced = s.Synced && t.served.Load()
	return s
}

// read returns the store of the current version, or nil.
func (t *track[T]) read() *store[T] {
	if current := t.current.Load(); current != nil {
		return current.feed.store
	}
	return nil
}

// version returns the name of the current version, or "".
func (t *track[T]) version() string {
	if current := t.current.Load(); current != nil {
		return current.name
	}
	return ""
}

// client returns the client of the current version, or nil.
func (t *track[T]) client() rest.Interface {
	if current := t.current.Load(); current != nil {
		return current.client
	}
	return nil
}

// kick tells the feeds to try again at once.
func (t *track[T]) kick() {
	if current := t.current.Load(); current != nil {
		current.feed.Kick()
	}
	if next := t.next.Load(); next != nil {
		next.feed.Kick()
	}
}

func (t *track[T]) goLive() {
	if current := t.current.Load(); current != nil {
		current.feed.store.live.Store(true)
	}
}

func adopt[T object](t, old *track[T]) {
	if s, o := t.read(), old.read(); s != nil && o != nil {
		s.adopt(o)
	}
}

func tellDifference[T object](t, old *track[T]) {
	if s, o := t.read(), old.read(); s != nil && o != nil {
		s.tellDifference(o)
	}
}
