package members

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReads_X6: however many names are to be read, and fail, a few goroutines read them; one that fails holds up no other, and is
// tried again; and all end with their context.
func TestReads_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var now, most, tries atomic.Int32
		started := 0
		r := &reads{ctx: ctx, most: 8, sooner: make(chan struct{}, 1)}
		r.start = func(f func()) {
			started++
			running.Go(func() {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				f()
			})
		}
		for i := range 1000 {
			r.add(i, func() (time.Duration, bool) { tries.Add(1); return 30 * time.Second, true })
		}
		synctest.Wait()
		if n := tries.Load(); n != 1000 {
			t.Errorf("%d were tried, want each once", n)
		}
		var read time.Time
		began := time.Now()
		r.add("new", func() (time.Duration, bool) { read = time.Now(); return 0, false })
		synctest.Wait()
		if !read.Equal(began) {
			t.Error("a new name waits for those that failed")
		}
		for range 100 {
			r.add(7, func() (time.Duration, bool) { t.Error("what waits is read twice"); return 0, false })
		}
		r.mu.Lock()
		waiting, names := len(r.waiting), len(r.names)
		r.mu.Unlock()
		if waiting != 1000 || names != 1000 {
			t.Errorf("%d wait for %d names, want 1000", waiting, names)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := tries.Load(); n != 2000 {
			t.Errorf("%d tries after half a minute, want two of each", n)
		}
		if n := most.Load(); n > 8 {
			t.Errorf("%d goroutines read at once", n)
		}
		cancel()
		running.Wait()
		if r.workers != 0 || started < 8 {
			t.Errorf("%d workers are left of %d", r.workers, started)
		}
	})
}
