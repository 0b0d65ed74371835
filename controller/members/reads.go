package members

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// reads are the names that a connection is to read anew. A few goroutines take them, the one that is due longest first, so that a
// member which exports names by the thousand, and answers for none of them, costs memory for their names only (SPEC X6).
type reads struct {
	ctx   context.Context
	start func(func()) // starts a goroutine that the connection waits for
	most  int          // of them

	mu      sync.Mutex
	waiting dues
	workers int
	sooner  chan struct{} // tells a worker that waits of something that is due before
}

// due is a name to read, and when.
type due struct {
	at time.Time
	// read reads it, and returns when to do so again; false if that is not wanted.
	read func() (after time.Duration, again bool)
}

// add has a name read as soon as it is its turn.
func (r *reads) add(read func() (time.Duration, bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heap.Push(&r.waiting, due{time.Now(), read})
	if r.workers < r.most {
		r.workers++
		r.start(r.work)
		return
	}
	select {
	case r.sooner <- struct{}{}:
	default:
	}
}

// work reads what is due until nothing waits.
func (r *reads) work() {
	for {
		next, wait := r.next()
		switch {
		case next == nil && wait == 0:
			return
		case next == nil:
			select {
			case <-r.ctx.Done():
			case <-r.sooner:
			case <-time.After(wait):
			}
			continue
		}
		if after, again := next(); again {
			r.mu.Lock()
			heap.Push(&r.waiting, due{time.Now().Add(after), next})
			r.mu.Unlock()
		}
	}
}

// next returns what is due, or otherwise how long nothing is; 0 if nothing waits, and the worker ends.
func (r *reads) next() (read func() (time.Duration, bool), wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		r.waiting = nil
	}
	if len(r.waiting) == 0 {
		r.workers--
		return nil, 0
	}
	if wait = time.Until(r.waiting[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&r.waiting).(due).read, 0
}

// dues is a heap, the earliest first.
type dues []due

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dues) Push(x any)        { *d = append(*d, x.(due)) }
func (d *dues) Pop() any {
	old := *d
	last := old[len(old)-1]
	old[len(old)-1] = due{}
	*d = old[:len(old)-1]
	return last
}
