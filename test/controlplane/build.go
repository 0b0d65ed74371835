package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Build returns the programs, and compiles what is not there yet: minutes the first time, then nothing until the pinned
// versions change. What it builds it keeps in the user's cache directory, under a name made of the version and a hash of
// the sources; several processes may call it at once, one of them builds. Progress, if any, is written to progress.
//
// With KUBEBUILDER_ASSETS set, the programs in that directory come first. It is an error if etcd or kube-apiserver is
// missing there; the others are built where they are missing.
func Build(ctx context.Context, progress io.Writer) (*Binaries, error) {
	b := &Binaries{paths: map[string]string{}}
	dir, programs, err := assets()
	if err != nil {
		return nil, err
	}
	b.add(dir, programs)
	if len(programs) == len(Programs) {
		b.Dir = dir
		return b, nil
	}
	src, err := findSource()
	if err != nil {
		return nil, fmt.Errorf("building the test control plane: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding a place to keep the test control plane: %w", err)
	}
	b.Dir, err = src.builtIn(ctx, filepath.Join(cache, "multicluster", "controlplane"), progress)
	if err != nil {
		return nil, fmt.Errorf("building the test control plane: %w", err)
	}
	b.add(b.Dir, Programs)
	return b, nil
}

// builtIn returns the directory below cache with the programs built from src, and builds them if need be.
func (src *source) builtIn(ctx context.Context, cache string, progress io.Writer) (string, error) {
	dir := filepath.Join(cache, src.key)
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, dir+".lock", progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) { // built by another process meanwhile
		return dir, nil
	}
	return dir, src.buildInto(ctx, dir, progress)
}

// buildInto makes dir appear whole, or not at all. The caller holds the lock on it.
func (src *source) buildInto(ctx context.Context, dir string, progress io.Writer) error {
	part := dir + ".part" // ours alone: we hold the lock
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	work := filepath.Join(part, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(part)
	const binary = "kubernetes"
	if err := src.compile(ctx, filepath.Join(part, binary), work, progress); err != nil {
		return err
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	for _, name := range Programs {
		if err := os.Symlink(binary, filepath.Join(part, name)); err != nil {
			return err
		}
	}
	return os.Rename(part, dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lockFile waits until it holds the lock on the file at path, which it creates, and returns what gives it back.
func lockFile(ctx context.Context, path string, progress io.Writer) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	told := false
	err = poll(ctx, func(context.Context) error {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			if !told {
				told = true
				fmt.Fprintf(progress, "controlplane: waiting for another process that builds (lock %s)\n", path)
			}
			return err
		}
		if err != nil {
			return permanentError{err}
		}
		return nil
	})
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// reportEvery is how often a long step says that it is alive.
const reportEvery = 15 * time.Second
