package controlplane

import (
	"sync"
	"testing"
)

// TestScratch: a directory is safe while its lock is held, and goes when it is not.
func TestScratch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	removeAbandoned()
	if !exists(s.path) {
		t.Error("a directory that is in use was removed")
	}
	s.lock.Close() // as the kernel does for a program that was killed
	removeAbandoned()
	if exists(s.path) {
		t.Error("an abandoned directory was not removed")
	}
}

// TestScratchRace: who makes a directory gets one that is there, however many others clean up.
func TestScratchRace(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				s, err := newScratch()
				if err != nil {
					t.Error(err)
					return
				}
				removeAbandoned()
				if !exists(s.path) {
					t.Error("a directory that is in use was removed")
				}
				if err := s.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if left := scratches(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
