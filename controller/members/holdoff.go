package members

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/clusterset/multicluster/internal/follow"
)

// When an API server stops serving a kind and serves it again, all names of all importing clusters are looked at anew. So the kind
// counts as back at once the first time, then after holdFirst, and each further time after twice as long, up to holdMost; once it
// stayed for holdMost, counting begins anew. People install a CRD anew once or twice.
const (
	holdFirst = 2 * time.Second
	holdMost  = 5 * time.Minute
)

// holdOff decides when what vanished and came back counts as present. What vanishes is gone at once, which is safe: nothing is concluded
// from what is not known (SPEC L3). There is one per member and role, not per connection, so that another connection does not reset it.
// The zero value is ready for use.
type holdOff struct {
	mu     sync.Mutex
	counts string    // what counts as present, "" for nothing
	since  time.Time // when it began to
	wait   time.Duration
	until  time.Time // from when on what vanished counts again
}

// observe takes what is present, "" for nothing, and returns what counts as present. Something else in its place is a return, too.
func (h *holdOff) observe(is string, now time.Time) string {
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

// present reports whether anything counts as present.
func (h *holdOff) present() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts != ""
}

// problem returns why nothing counts as present, whatever is; nil if it is not held off.
func (h *holdOff) problem(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts != "" || !now.Before(h.until) {
		return nil
	}
	return fmt.Errorf("ServiceExports or ServiceImports disappeared and came back several times; the cluster is ignored until %s",
		h.until.UTC().Format(time.RFC3339))
}

// Probes between those of each interval, for a feed that changed its state or an export that was removed, come probesInARow times at
// once and then once per probeEvery: a start takes one for each kind.
const (
	probesInARow = 20
	probeEvery   = time.Second
)

// tryLimits bound the requests that a member's API server can cause, whichever connection leads to it.
type tryLimits struct {
	mu         sync.Mutex
	ofKind     map[string]*rate.Limiter // of each kind's feeds
	unexpected *rate.Limiter            // of probes between those of each interval
}

// tries returns the limiter that the member's feeds of a kind share, in whatever versions and connections.
func (m *Member) tries(kind string) *rate.Limiter {
	return m.Tries(kind, func() *rate.Limiter { return follow.NewTries(0) })
}

// Tries returns the limiter that all share who read some kind of the member's objects, whichever connection leads to it. The first of
// them makes it.
func (m *Member) Tries(kind string, fresh func() *rate.Limiter) *rate.Limiter {
	l := &m.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ofKind == nil {
		l.ofKind = map[string]*rate.Limiter{}
	}
	if l.ofKind[kind] == nil {
		l.ofKind[kind] = fresh()
	}
	return l.ofKind[kind]
}

// probes returns the limiter of probes between those of each interval; where the interval is shorter than probeEvery, they come as often.
func (m *Member) probes(interval time.Duration) *rate.Limiter {
	l := &m.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unexpected == nil {
		l.unexpected = rate.NewLimiter(rate.Every(min(probeEvery, interval)), probesInARow)
	}
	return l.unexpected
}
