package controller

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/members"
)

// The changes of one member wake names in all lanes changesInARow times at once, and then changesPerSecond times a second. The first
// is for a cluster of 5,000 names that is listed, or changed as a whole: export, Service, slice, and one more. The second is five
// times what kube-controller-manager writes by default (--kube-api-qps 20), and a tenth of what one lane writes in all.
const (
	changesInARow    = 20_000
	changesPerSecond = 100
)

// At most mostWaiting names wait: three times as many as the largest member exports. When a member changes more, such as one whose
// names come and go, all names are looked at instead, which counts as wholeLook changes.
const (
	mostWaiting = 16_384
	wholeLook   = 5_000
)

// backlog holds back the names that one member changes too often. [pace] bounds how often each name is written; this bounds how many
// are, so that a member with thousands of names takes only its share of what the lanes can write (SPEC L5, X6). It delays nothing
// for other members: a name that they change comes by their backlogs, and is then written as it is. Names have their turns in the
// order in which they began to wait. Each counts as many changes as it had meanwhile, but not more than it has objects to write:
// one, and one per slice.
//
// While something waits, timer is set.
type backlog struct {
	budget  *rate.Limiter
	order   []types.NamespacedName
	changes map[types.NamespacedName]int // of those that wait
	all     bool                         // all names wait
	timer   *time.Timer
	warned  bool // since the budget was last whole
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
		if b.budget.TokensAt(now) >= changesInARow-1 {
			b.warned = false
		}
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

// next returns names that may be looked at now, if there are any; otherwise how long it takes until there are, 0 if nothing waits.
// The function slices returns how many slices the member has of a name.
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

// clear drops all names that wait, where all names are looked at anyway.
func (b *backlog) clear() {
	b.order, b.changes, b.all = nil, map[types.NamespacedName]int{}, false
}

// stop is [backlog.clear], and ends the timer.
func (b *backlog) stop() {
	b.clear()
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// Changed implements [members.Handler]. Changes of a member that left, whose watches end a moment later, wake nothing.
func (c *Controller) Changed(m *members.Member, key types.NamespacedName) {
	c.snapshots.forget(only(key)) // whoever looks at it meanwhile, for whatever reason, sees it as it is
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.backlogs[m]
	if b == nil {
		return
	}
	now := time.Now()
	if b.admits(key, now) {
		c.wake(only(key))
		return
	}
	c.metrics.delayed(m.ID())
	if !b.warned {
		b.warned = true
		c.opts.Log.Warn("the cluster changes more objects than are carried to other clusters at once; its changes wait for their turn",
			"cluster", m.ID(), "at most per second", changesPerSecond)
	}
	if b.timer == nil {
		c.release(m, b, now)
	}
}

// release puts the names whose turn it is into the lanes, and sets the timer for the others. c.mu is held.
func (c *Controller) release(m *members.Member, b *backlog, now time.Time) {
	if b.timer != nil { // the one that called, or a later one if that was stopped too late
		b.timer.Stop()
		b.timer = nil
	}
	for {
		names, ok, wait := b.next(now, func(key types.NamespacedName) int { return len(m.SourceSlices(key)) })
		switch {
		case ok:
			c.wake(names)
			continue
		case wait > 0:
			b.timer = time.AfterFunc(wait, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.backlogs[m] == b {
					c.release(m, b, time.Now())
				}
			})
		}
		return
	}
}

// wake puts names into every lane. c.mu is held.
func (c *Controller) wake(names scope) {
	for _, l := range c.lanes {
		l.add(names)
	}
}
