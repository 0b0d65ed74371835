package multicluster

import (
	"errors"
	"slices"
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
// when it is right again. It keeps what it knows by the names of streams, and speaks of kinds: the streams of one kind read the same
// resource, so that what is wrong with one is soon wrong with the others.
type health struct {
	synced atomic.Bool   // everything was read once
	ready  chan struct{} // closed when synced becomes true
	denied chan struct{} // closed when the server first denied something
	began  time.Time

	kinds  map[string]string // of the streams
	events map[string]*atomic.Int64

	mu      sync.Mutex
	pending map[string]bool    // streams that were not read yet
	trouble map[string]trouble // streams that can't be followed now
	outage  bool               // it was logged that the server is away
	since   time.Time          // when the first denial came that still stands
	gaveUp  bool               // it was logged that readiness does not wait
}

type trouble struct {
	denied  bool // by the server, as opposed to no answer from it
	doubted bool // it was denied once, which is no news yet
	began   time.Time
}

func newHealth(streams []*stream) *health {
	h := &health{
		ready: make(chan struct{}), denied: make(chan struct{}), began: time.Now(),
		pending: map[string]bool{}, trouble: map[string]trouble{}, kinds: map[string]string{}, events: map[string]*atomic.Int64{},
	}
	for _, s := range streams {
		h.kinds[s.name()] = s.kind
		h.pending[s.name()] = true
		h.events[s.name()] = &atomic.Int64{}
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

// failed notes that a stream can't be followed. That a server denies what it allowed, or right after it was away, is believed
// when it does so twice: one that has just started denies for a moment what it will allow.
func (h *health) failed(stream string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	denied := isDenial(err)
	known, had := h.trouble[stream]
	first := denied && !known.denied && !known.doubted && (h.synced.Load() || h.away())
	quiet := first || denied && h.denies(h.kinds[stream]) || !denied && h.outage
	if !had || !quiet {
		known.began = time.Now()
	}
	known.denied, known.doubted = denied && !first, first
	h.trouble[stream] = known
	h.outage = h.away() && (h.outage || !denied)
	h.countDenials()
	if quiet {
		return
	}
	consequence := "answers stay as they are"
	if !h.synced.Load() {
		consequence = "answering SERVFAIL"
	}
	log.Warningf("can't read %s: %s; %s until it can be read, trying again", h.kinds[stream], excerpt.Of(err.Error(), excerpt.Line), consequence)
}

// denies reports whether a kind is denied.
func (h *health) denies(kind string) bool {
	for stream, t := range h.trouble {
		if t.denied && h.kinds[stream] == kind {
			return true
		}
	}
	return false
}

// away reports whether some stream gets no answer.
func (h *health) away() bool {
	for _, t := range h.trouble {
		if !t.denied {
			return true
		}
	}
	return false
}

// fine notes that a stream is being followed.
func (h *health) fine(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.trouble[stream]
	if !ok {
		return
	}
	delete(h.trouble, stream)
	h.countDenials()
	kind := h.kinds[stream]
	switch {
	case t.denied && h.denies(kind): // the last one says so
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

// loaded notes that all objects of a stream were read.
func (h *health) loaded(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pending, stream)
	if len(h.pending) == 0 && !h.synced.Load() {
		h.synced.Store(true)
		close(h.ready)
	}
}

// event notes that a change came by a stream.
func (h *health) event(stream string) { h.events[stream].Store(time.Now().UnixNano()) }

// kindState is how following a kind is going.
type kindState struct {
	name      string
	watching  bool
	lastEvent time.Time // zero while none came
}

// states returns the state of each kind: it is watched if all its streams are.
func (h *health) states() []kindState {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []kindState
	for stream, kind := range h.kinds {
		at := slices.IndexFunc(all, func(k kindState) bool { return k.name == kind })
		if at < 0 {
			at = len(all)
			all = append(all, kindState{name: kind, watching: true})
		}
		k := &all[at]
		_, broken := h.trouble[stream]
		k.watching = k.watching && !broken && !h.pending[stream]
		if last := h.events[stream].Load(); last != 0 && time.Unix(0, last).After(k.lastEvent) {
			k.lastEvent = time.Unix(0, last)
		}
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
