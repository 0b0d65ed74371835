package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hostEtc is where a container sees the machine's own /etc, read-only.
const hostEtc = "/run/host-etc"

// privateFiles gives the calling process, which has a mount namespace of its own, a fresh /proc, an empty /run and an
// /etc that it may change, and writes files there. The machine's own /etc shows through, entry by entry, as symbolic
// links: an overlay file system would do the same, but not every machine lets one be stacked.
func privateFiles(files map[string][]byte) error {
	mounts := []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"/etc", hostEtc, "", unix.MS_BIND, ""},
		{"", hostEtc, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY, ""},
		{"tmpfs", "/etc", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	}
	for _, m := range mounts {
		if m.target == hostEtc {
			if err := os.MkdirAll(hostEtc, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s for a container: %w", m.target, err)
		}
	}
	if err := mirror(hostEtc, "/etc"); err != nil {
		return err
	}
	for path, content := range files {
		if err := write(path, content); err != nil {
			return fmt.Errorf("placing %s in a container: %w", path, err)
		}
	}
	return nil
}

// mirror makes every entry of the directory from appear in the directory to. Links are repeated as they are, so that
// relative ones keep their meaning.
func mirror(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		target := filepath.Join(from, entry.Name())
		if entry.Type()&os.ModeSymlink != 0 {
			if target, err = os.Readlink(target); err != nil {
				return err
			}
		}
		if err := os.Symlink(target, filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// write puts content at path in what privateFiles made private.
func write(path string, content []byte) error {
	path = filepath.Clean(path)
	if rest, ok := strings.CutPrefix(path, "/var/run/"); ok {
		path = "/run/" + rest
	}
	dir := filepath.Dir(path)
	switch {
	case strings.HasPrefix(path, "/run/"):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	case strings.HasPrefix(path, "/etc/"):
		if err := own(dir); err != nil {
			return err
		}
	default:
		return fmt.Errorf("only files below /etc, /run and /var/run can be private to a container")
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// own makes dir, below /etc, a directory of the container's own, in place of a link to the machine's.
func own(dir string) error {
	if dir == "/etc" {
		return nil
	}
	if err := own(filepath.Dir(dir)); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = os.Remove(dir)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	machines := hostEtc + strings.TrimPrefix(dir, "/etc")
	if info, err := os.Stat(machines); err != nil || !info.IsDir() {
		return nil // the machine has no such directory
	}
	return mirror(machines, dir)
}
