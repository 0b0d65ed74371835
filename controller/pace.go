package controller

import (
	"sync"
	"time"
)

// A name is written to a cluster writesInARow times at once, and then once per writeEvery. The first is for what an ordinary change
// takes, though none of its events meet in the queue: a rolling update that replaces 25 pods changes each twice. The second is
// what endpoints may be late by, less than a kubelet takes to see that a pod fails.
const (
	writesInARow = 50
	writeEvery   = time.Second
)

// pace bounds how often each name of a lane is written, whatever its exporting clusters change and however often (SPEC X6). The lane
// asks it before it reconciles a name, and calls spend if that wrote something, so that events that come to nothing cost nothing. A name
// that has to wait stays in the queue and is then written as it is by then, withdrawals included; events in between don't delay it further.
// So the last change, and a removal (SPEC L13), is late by writeEvery at most, and only for a name that changed writesInARow times before.
type pace struct {
	mu    sync.Mutex
	began time.Time
	// even is when a name has made up for its writes, counted from began; names that have are left out.
	even  map[scope]time.Duration
	sweep time.Duration // when those that have are dropped next
}

func newPace(now time.Time) *pace { return &pace{began: now, even: map[scope]time.Duration{}} }

// wait returns how long names have to wait, at most [writeEvery]; 0 if it is their turn.
func (p *pace) wait(names scope, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.even[names]-now.Sub(p.began)-(writesInARow-1)*writeEvery)
}

// spend notes that something was written for names.
func (p *pace) spend(names scope, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := now.Sub(p.began)
	if at >= p.sweep {
		all := p.even
		p.even, p.sweep = map[scope]time.Duration{}, at+writesInARow*writeEvery // anew, since a map never shrinks
		for n, even := range all {
			if even > at {
				p.even[n] = even
			}
		}
	}
	p.even[names] = max(p.even[names], at) + writeEvery
}
