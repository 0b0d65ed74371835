package controller

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/members"
)

// What one member changes wakes names in all lanes changesInARow times at once, and then changesPerSecond times a second. The first
// is for a cluster of 5,000 names that is listed, or changed as a whole: export, Service, slice, and one more. The second is five
// times what the controllers of an API server write by default (--kube-api-qps 20), and a tenth of what one lane writes in all.
const (
	changesInARow    = 20_000
	changesPerSecond = 100
)

// No more than mostWaiting names wait for each other: three times as many as the largest member exports. A member that changes more,
// such as one whose names come and go, has all names looked at instead, which counts as wholeLook changes.
const (
	mostWaiting = 16_384
	wholeLook   = 5_000
)

// backlog holds the names back that one member changes too often. [pace] bounds how often each name is written; this bounds how many
// are, so that a member with thousands of names takes no more than its share of what the lanes can write (SPEC L5, X6). A name that
// others change, too, comes by their backlogs meanwhile, and is then written as it is. Each name has its turn in the order in which
// it began to wait, and counts as many changes as it had meanwhile, as far as there are objects to write: one, and one per slice.
type backlog struct {
	budget  *rate.Limiter
	order   []types.NamespacedName
	changes map[types.NamespacedName]int // of those that wait
	all     bool                         // all names wait
	timer   *time.Timer                  // set while any waits
	told    bool                         // since it was last within its budget
}

func newBacklog() *backlog {
	return &backlog{budget: rate.NewLimiter(changesPerSecond, changesInARow), changes: map[types.NamespacedName]int{}}
}

// admits reports whether a name that changed may be looked at now; otherwise [backlog.next] returns it in its turn.
func (b *backlog) admits(key types.NamespacedName, now time.Time) bool {
	_, waits := b.changes[key]
	switch {
	case b.all:
		return false
	case len(b.order) == 0 && b.budget.AllowN(now, 1):
		return true
	case waits:
		b.changes[key]++
		return false
	case len(b.order) == mostWaiting:
		b.clear()
		b.all = true
		return false
	}
	b.order = append(b.order, key)
	b.changes[key] = 1
	return false
}

// next returns what may be looked at now, if anything may; otherwise how long that takes, 0 if nothing waits. Slices returns how
// many slices the member has of a name.
func (b *backlog) next(now time.Time, slices func(types.NamespacedName) int) (names scope, ok bool, wait time.Duration) {
	var cost int
	switch {
	case b.all:
		names, cost = everything, wholeLook
	case len(b.order) == 0:
		return scope{}, false, 0
	default:
		key := b.order[0]
		names, cost = only(key), min(b.changes[key], 1+slices(key), changesInARow)
	}
	if !b.budget.AllowN(now, cost) {
		missing := float64(cost) - b.budget.TokensAt(now)
		return scope{}, false, time.Duration(missing/changesPerSecond*float64(time.Second)) + time.Millisecond
	}
	b.all = false
	if len(b.order) > 0 {
		delete(b.changes, b.order[0])
		b.order = b.order[1:]
	}
	return names, true, 0
}

// clear has nothing wait any more: all names are looked at anyway.
func (b *backlog) clear() {
	b.order, b.changes, b.all = nil, map[types.NamespacedName]int{}, false
}

// stop ends what goes on for the backlog.
func (b *backlog) stop() {
	b.clear()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// Changed implements [members.Handler].
func (c *Controller) Changed(m *members.Member, key types.NamespacedName) {
	c.pictures.forget(only(key)) // whoever looks at it meanwhile, for whatever reason, sees it as it is
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		return
	}
	b := c.backlogs[m]
	if b == nil {
		b = newBacklog()
		c.backlogs[m] = b
	}
	now := time.Now()
	if b.admits(key, now) {
		c.wake(only(key))
		return
	}
	c.metrics.delayed(m.ID())
	if !b.told {
		b.told = true
		c.opts.Log.Warn("the cluster changes more objects than are carried to other clusters at once; its changes wait for their turn",
			"cluster", m.ID(), "at most per second", changesPerSecond)
	}
	if b.timer == nil {
		c.release(m, b, now)
	}
}

// release puts those names that m changed into the lanes whose turn it is, and comes back for the others. c.mu is held.
func (c *Controller) release(m *members.Member, b *backlog, now time.Time) {
	for {
		names, ok, wait := b.next(now, func(key types.NamespacedName) int { return len(m.SourceSlices(key)) })
		switch {
		case ok:
			c.wake(names)
			continue
		case wait > 0:
			b.timer = time.AfterFunc(wait, func() { c.resume(m) })
		}
		return
	}
}

// resume is [Controller.release] when it is time.
func (c *Controller) resume(m *members.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.backlogs[m]; b != nil && c.ctx != nil && b.timer != nil {
		b.timer = nil
		c.release(m, b, time.Now())
	}
}

// wake puts names into every lane. c.mu is held.
func (c *Controller) wake(names scope) {
	for _, l := range c.lanes {
		l.add(names)
	}
}
