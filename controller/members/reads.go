package members

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// reads are the names that a connection is to read anew. A few goroutines take them, the one that is due longest first, so that a
// member which exports names by the thousand, and answers for none of them, costs memory for their names only (SPEC X6). A
// name that is asked for again while it waits, waits once.
type reads struct {
	ctx   context.Context
	start func(func()) // starts a goroutine that the connection waits for
	most  int          // of them

	mu      sync.Mutex
	waiting dues
	names   map[any]bool // that wait or are read now; true for those that were asked for again while they were read
	workers int
	sooner  chan struct{} // tells a worker that waits of something that is due before
}

// due is a name to read, and when.
type due struct {
	at   time.Time
	name any
	// read reads it, and returns when to do so again; false if that is not wanted.
	read func() (after time.Duration, again bool)
}

// add has a name read as soon as it is its turn, unless it waits already. Names are told apart by being equal.
func (r *reads) add(name any, read func() (time.Duration, bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.names[name]; known {
		r.names[name] = true
		return
	}
	if r.names == nil {
		r.names = map[any]bool{}
	}
	r.push(due{time.Now(), name, read})
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

// push has a name wait. r.mu is held.
func (r *reads) push(d due) {
	r.names[d.name] = false
	heap.Push(&r.waiting, d)
}

// done has a name that was read wait again, if that is wanted or was asked for meanwhile.
func (r *reads) done(d due, after time.Duration, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.names[d.name]
	switch {
	case again:
	case asked:
		after = 0
	default:
		delete(r.names, d.name)
		return
	}
	d.at = time.Now().Add(after)
	r.push(d)
}

// work reads what is due until nothing waits.
func (r *reads) work() {
	for {
		next, wait := r.next()
		switch {
		case next.read == nil && wait == 0:
			return
		case next.read == nil:
			select {
			case <-r.ctx.Done():
			case <-r.sooner:
			case <-time.After(wait):
			}
			continue
		}
		after, again := next.read()
		r.done(next, after, again)
	}
}

// next returns what is due, or otherwise how long nothing is; 0 if nothing waits, and the worker ends.
func (r *reads) next() (next due, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		r.waiting = nil
	}
	if len(r.waiting) == 0 {
		r.workers--
		return due{}, 0
	}
	if wait = time.Until(r.waiting[0].at); wait > 0 {
		return due{}, wait
	}
	next = heap.Pop(&r.waiting).(due)
	r.names[next.name] = false
	return next, 0
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
