package multicluster

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clusterset/multicluster/plugin/view"

	"k8s.io/client-go/rest"
)

// sourceKey is what makes two sources the same: asked so, the API server gives the same objects.
type sourceKey struct {
	server      string // "in-cluster", or the file and context of a kubeconfig
	credentials string // digest of the kubeconfig's content
	namespaces  string // joined, sorted; empty means all
	labels      string // selector for ServiceImports
	noEndpoints bool
}

// source keeps one view up to date, for all zones of all server blocks that ask for the same. It lives as long as one of
// them does: when the configuration is reloaded the new instance of the server takes it over before the old one lets it
// go, so that nothing is read twice.
type source struct {
	key    sourceKey
	view   *view.View
	zone   zoneLength
	serial serial
	health *health
	ctx    context.Context // of everything that goes on for it
	cancel context.CancelFunc
	done   sync.WaitGroup

	transfers counter              // of its zones, under way
	inherited bool                 // the view began as that of a source before this one
	users     map[*stanza]struct{} // guarded by registry.mu
}

// registry holds the running sources of this process.
var registry = struct {
	mu      sync.Mutex
	sources map[sourceKey]*source
}{sources: map[sourceKey]*source{}}

// acquire gives a stanza its source, which is started unless it runs already.
func acquire(st *stanza) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	s := registry.sources[st.key]
	fresh := s == nil
	if fresh {
		s = newSource(st.key, predecessor(st.key))
		registry.sources[st.key] = s
	}
	s.zone.serve(st.zones)
	if fresh {
		s.start(st.config)
	}
	s.users[st] = struct{}{}
	for _, z := range st.zones {
		z.source = s
	}
}

// predecessor returns a source that knows everything and reads the same with other credentials, or nil.
func predecessor(key sourceKey) *source {
	for other, s := range registry.sources {
		if other.credentials = key.credentials; other == key && s.synced() {
			return s
		}
	}
	return nil
}

// release takes their sources from the stanzas that match. A source without users stops; others, and metrics, don't wait for it.
func release(match func(*stanza) bool) {
	for _, s := range abandon(match) {
		s.done.Wait()
	}
}

// abandon returns the sources that are about to stop.
func abandon(match func(*stanza) bool) (stopping []*source) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for key, s := range registry.sources {
		before := s.zones()
		maps.DeleteFunc(s.users, func(st *stanza, _ struct{}) bool { return match(st) })
		if len(s.users) == 0 {
			delete(registry.sources, key)
			s.cancel()
			stopping = append(stopping, s)
		} else if len(s.zones()) < len(before) {
			s.view.Forget() // the records of a zone that nobody serves any more
		}
	}
	return stopping
}

// zones returns the different zones of the users.
func (s *source) zones() map[view.Zone]struct{} {
	all := map[view.Zone]struct{}{}
	for st := range s.users {
		for _, z := range st.zones {
			all[z.Zone] = struct{}{}
		}
	}
	return all
}

// newSource returns a source that does not read yet. What old knows, if it is not nil, serves until everything was read anew,
// however long that takes: credentials may be replaced while the API server is away (SPEC D8).
func newSource(key sourceKey, old *source) *source {
	s := &source{key: key, view: view.New(), users: map[*stanza]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if old != nil {
		s.serial.inherit(&old.serial)                // first: what changes meanwhile has a later one
		s.view, s.inherited = old.view.Clone(), true // a copy: each follows the API server by itself while both run
	}
	return s
}

// start begins to read.
func (s *source) start(cfg *rest.Config) {
	streams := newStreams(s, cfg)
	s.health = newHealth(streams)
	if s.inherited {
		s.health.inherit()
	}
	for _, st := range streams {
		st.health = s.health
		s.done.Go(func() { st.run(s.ctx) })
	}
}

// synced reports whether everything has been read once.
func (s *source) synced() bool { return s.health.synced.Load() }

// serial gives out the serial numbers of the SOA record (RFC 1912 section 2.2: by date, here by second). Changes may come faster
// than seconds, but a serial that ran ahead of the clock would go backwards when the process is started again, and secondaries
// would ignore what changes until the clock has caught up. So there is at most one new serial a second: what changes in the second
// after one has the next, which is given out when that second is over. A secondary that transferred such a state transfers it once
// more.
type serial struct {
	mu      sync.Mutex
	changes uint64 // of the state that it was given out for
	value   uint32
	given   time.Time
}

// lastSerial is the greatest serial that this process gave out: another source, after a reload that changed the
// configuration, goes on from there.
var lastSerial atomic.Uint32

// inherit goes on from another, of a view that this one's begins as.
func (s *serial) inherit(old *serial) {
	old.mu.Lock()
	defer old.mu.Unlock()
	s.changes, s.value, s.given = old.changes, old.value, old.given
}

// at returns the serial for a state of the view, and the state that it was given out for. It is a new one, greater than all before
// and not less than the present second, if the state was not asked for before and the last one is at least a second old.
func (s *serial) at(changes uint64) (value uint32, of uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != 0 && changes <= s.changes {
		return s.value, s.changes
	}
	now := time.Now()
	if s.value != 0 && now.Sub(s.given) < time.Second {
		return s.value, s.changes
	}
	for {
		last := lastSerial.Load()
		floor := s.value
		if floor == 0 {
			floor = last // other sources move on by themselves
		}
		next := max(floor+1, uint32(now.Unix()))
		if lastSerial.CompareAndSwap(last, max(last, next)) {
			s.changes, s.value, s.given = changes, next, now
			return s.value, s.changes
		}
	}
}
