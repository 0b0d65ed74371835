package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A scratch is a temporary directory whose owner holds a lock on it while it lives. One that nobody has locked was left
// by a program that was killed; removeAbandoned finds and removes it.
type scratch struct {
	path string
	lock *os.File
}

const scratchPattern = "multicluster-controlplane-*"

// newScratch creates a locked directory under [os.TempDir].
func newScratch() (*scratch, error) {
	for {
		path, err := os.MkdirTemp("", scratchPattern)
		if err != nil {
			return nil, err
		}
		lock, err := lockDir(path)
		if err == nil {
			return &scratch{path, lock}, nil
		}
		// Another program's removeAbandoned may come between the two calls and take the directory for abandoned.
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
	}
}

func (s *scratch) remove() error {
	err := os.RemoveAll(s.path)
	return errors.Join(err, s.lock.Close())
}

// removeAbandoned removes the directories that dead programs left. What it may not remove (another user's) it leaves.
func removeAbandoned() {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPattern))
	for _, path := range paths {
		if lock, err := lockDir(path); err == nil {
			_ = os.RemoveAll(path)
			lock.Close()
		}
	}
}

// lockDir locks the directory at path for as long as the returned file is open, and errors if somebody else has, or if
// path is no longer that directory once the lock is held.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lockedAs(dir, path); err != nil {
		dir.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return dir, nil
}

func lockedAs(dir *os.File, path string) error {
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	held, err := dir.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(held, named) {
		return os.ErrNotExist
	}
	return nil
}
