package members

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/clusterset/multicluster/controller/mirror"
)

// A member whose API server takes a kind away and gives it back, again and again, has all names of all importing clusters looked at
// anew each time. It is back at once the first time, then after holdFirst, and each further time after twice as long, up to holdMost;
// once it stayed for holdMost, it is as if nothing had been. People install a CRD anew once or twice.
const (
	holdFirst = 2 * time.Second
	holdMost  = 5 * time.Minute
)

// holdOff decides when what vanished and came back counts as back. What vanishes is gone at once, since to not know is safe
// (SPEC L3). It is the member's, not a connection's, so that nothing which makes another connection makes it forget. The zero
// value is ready for use.
type holdOff struct {
	mu     sync.Mutex
	counts string    // what counts as there, "" for nothing
	since  time.Time // when it began to
	wait   time.Duration
	until  time.Time // what vanished counts as back from then on
}

// see takes what is there, "" for nothing, and returns what counts as there. Another thing in its place is a return, too.
func (h *holdOff) see(is string, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts != "" && h.counts != is {
		if now.Sub(h.since) >= holdMost {
			h.wait = 0
		}
		h.counts, h.until = "", now.Add(h.wait)
		h.wait = min(max(2*h.wait, holdFirst), holdMost)
	}
	if h.counts == "" && is != "" && !now.Before(h.until) {
		h.counts, h.since = is, now
	}
	return h.counts
}

// there reports whether anything counts as there.
func (h *holdOff) there() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts != ""
}

// problem returns why what may be there does not count yet; nil if that is not for coming and going.
func (h *holdOff) problem(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts != "" || !now.Before(h.until) {
		return nil
	}
	return fmt.Errorf("what is read of the cluster vanished and came back several times; it counts as not known until %s",
		h.until.UTC().Format(time.RFC3339))
}

// Probes besides those of each interval, for news from a feed or a removed export, come lookInARow times at once and then once a
// second: a start takes one for each kind.
const (
	lookInARow = 20
	lookEvery  = time.Second
)

// tryLimits bound what a member's API server can cause, whichever connection leads to it.
type tryLimits struct {
	mu    sync.Mutex
	tries map[string]*rate.Limiter // of each kind's feeds
	looks *rate.Limiter
}

// tries returns the limiter that the member's feeds of a kind share, in whatever versions and connections.
func (m *Member) tries(kind string) *rate.Limiter {
	l := &m.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == nil {
		l.tries = map[string]*rate.Limiter{}
	}
	if l.tries[kind] == nil {
		l.tries[kind] = mirror.NewTries()
	}
	return l.tries[kind]
}

// look returns the limiter of probes out of turn; a connection with a shorter interval is not slower than that.
func (l *tryLimits) look(interval time.Duration) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks == nil {
		l.looks = rate.NewLimiter(rate.Every(min(lookEvery, interval)), lookInARow)
	}
	return l.looks
}
