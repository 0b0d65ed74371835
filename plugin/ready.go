package multicluster

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Ready implements ready.Readiness. It waits until everything has been read once, except where the API server said that
// it doesn't serve a kind, doesn't allow to read it, or doesn't know who asks: that may last, and other plugins of this server must not wait
// for it longer than the startup_timeout. The zone answers SERVFAIL meanwhile.
//
// The plugin ready keeps one of the server blocks that have this plugin, so each speaks for all.
func (m *Multicluster) Ready() bool {
	for _, member := range m.group.members {
		if !member.started.Load() {
			return false
		}
		for _, st := range member.stanzas {
			s := st.zones[0].source
			if !s.synced() && !s.health.hopeless(st.patience) {
				return false
			}
		}
	}
	return true
}

// health is what a source knows of its connection, and says in the log: one line when something begins to be wrong, one
// when it is right again.
type health struct {
	synced atomic.Bool   // everything was read once
	ready  chan struct{} // closed when synced becomes true
	denied chan struct{} // closed when the server first denied something
	began  time.Time

	mu      sync.Mutex
	pending map[string]bool    // kinds that were not read yet
	trouble map[string]trouble // kinds that can't be followed now
	outage  bool               // it was logged that the server is away
	since   time.Time          // when the first denial came that still stands
	gaveUp  bool               // it was logged that readiness does not wait
	events  map[string]*atomic.Int64
}

type trouble struct {
	denied  bool // by the server, as opposed to no answer from it
	doubted bool // it was denied once, which is no news yet
	began   time.Time
}

func newHealth(streams []*stream) *health {
	h := &health{
		ready: make(chan struct{}), denied: make(chan struct{}), began: time.Now(),
		pending: map[string]bool{}, trouble: map[string]trouble{}, events: map[string]*atomic.Int64{},
	}
	for _, s := range streams {
		h.pending[s.kind] = true
		h.events[s.kind] = &atomic.Int64{}
	}
	return h
}

// inherit notes that everything is known, if not by way of these streams.
func (h *health) inherit() {
	h.synced.Store(true)
	close(h.ready)
}

// isDenial reports whether the server answered that a kind is not served, or not allowed, or that it doesn't know who asks:
// neither mends itself.
func isDenial(err error) bool {
	return errors.Is(err, mcsapi.ErrNotServed) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// failed notes that a kind can't be followed. That a server denies what it allowed, or right after it was away, is believed
// when it does so twice: one that has just started denies for a moment what it will allow.
func (h *health) failed(kind string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	denied := isDenial(err)
	known, had := h.trouble[kind]
	first := denied && !known.denied && !known.doubted && (h.synced.Load() || h.away())
	quiet := first || denied && known.denied || !denied && h.outage
	if !had || !quiet {
		known.began = time.Now()
	}
	known.denied, known.doubted = denied && !first, first
	h.trouble[kind] = known
	h.outage = h.away() && (h.outage || !denied)
	h.countDenials()
	if quiet {
		return
	}
	consequence := "answers stay as they are"
	if !h.synced.Load() {
		consequence = "answering SERVFAIL"
	}
	log.Warningf("can't read %s: %s; %s until it can be read, trying again", kind, excerpt.Of(err.Error(), excerpt.Line), consequence)
}

// away reports whether some kind gets no answer.
func (h *health) away() bool {
	for _, t := range h.trouble {
		if !t.denied {
			return true
		}
	}
	return false
}

// fine notes that a kind is being followed.
func (h *health) fine(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.trouble[kind]
	if !ok {
		return
	}
	delete(h.trouble, kind)
	h.countDenials()
	switch {
	case t.denied:
		log.Infof("%s can be read again after %s", kind, time.Since(t.began).Round(time.Millisecond))
	case h.outage && !h.away(): // the last one says so
		h.outage = false
		log.Infof("the API server is back after %s", time.Since(t.began).Round(time.Millisecond))
	}
}

// countDenials notes since when something is denied.
func (h *health) countDenials() {
	any := false
	for _, t := range h.trouble {
		any = any || t.denied
	}
	switch {
	case !any:
		h.since = time.Time{}
	case h.since.IsZero():
		h.since = time.Now()
		select {
		case <-h.denied:
		default:
			close(h.denied)
		}
	}
}

// loaded notes that all objects of a kind were read.
func (h *health) loaded(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pending, kind)
	if len(h.pending) == 0 && !h.synced.Load() {
		h.synced.Store(true)
		close(h.ready)
	}
}

// event notes that a change of a kind came.
func (h *health) event(kind string) { h.events[kind].Store(time.Now().UnixNano()) }

// kindState is how following a kind is going.
type kindState struct {
	name      string
	watching  bool
	lastEvent time.Time // zero while none came
}

// kinds returns the state of each kind.
func (h *health) kinds() []kindState {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]kindState, 0, len(h.events))
	for name, event := range h.events {
		_, broken := h.trouble[name]
		k := kindState{name: name, watching: !broken && !h.pending[name]}
		if at := event.Load(); at != 0 {
			k.lastEvent = time.Unix(0, at)
		}
		all = append(all, k)
	}
	return all
}

// hopeless reports whether something has been denied for longer than patience.
func (h *health) hopeless(patience time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || time.Since(h.since) < patience {
		return false
	}
	if !h.gaveUp {
		h.gaveUp = true
		log.Warning("reporting ready although not everything can be read, for the sake of other plugins; answering SERVFAIL")
	}
	return true
}

// wait returns when everything was read, when the server denied something, or when patience has passed since the
// source began, whichever comes first.
func (h *health) wait(patience time.Duration) {
	timer := time.NewTimer(time.Until(h.began.Add(patience)))
	defer timer.Stop()
	select {
	case <-h.ready:
	case <-h.denied:
	case <-timer.C:
	}
	if !h.synced.Load() {
		log.Warning("starting before everything was read; answering SERVFAIL until then")
	}
}
