package clusters

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Directory is a [Source] of the kubeconfig files of a directory: one member per file, its id the file's name up to the
// extension, which is .kubeconfig, .yaml, .yml, .conf or none. Other files, and hidden ones, are left alone.
type Directory struct {
	Path string
	// Registration is what the members have in common: their roles.
	Registration Registration
	// Limits are those of members by id; others have none.
	Limits map[string]Limits
	// Poll is the time between two looks at the directory; 0 means 2 s.
	Poll time.Duration
	Log  *slog.Logger
}

// extensions of the files that are taken for kubeconfigs; a file without any is one, too.
var extensions = map[string]bool{"": true, ".kubeconfig": true, ".yaml": true, ".yml": true, ".conf": true}

// Check says why the directory can't be read; nil if it can.
func (d Directory) Check() error {
	if _, err := os.ReadDir(d.Path); err != nil {
		return fmt.Errorf("%w; want a directory of kubeconfig files", err)
	}
	return nil
}

// Run implements [Source]. A directory that can't be read changes nothing, once it could be read, nor does an empty one in
// its place: what a volume leaves behind that is not mounted any more (SPEC L6).
func (d Directory) Run(ctx context.Context, update func([]Registration)) error {
	if err := d.Check(); err != nil {
		return err
	}
	logged := ""
	var was os.FileInfo
	return poll(ctx, d.Poll, update, func(last map[string]Registration) ([]Registration, error) {
		regs, err := d.read(last)
		if is, gone := os.Stat(d.Path); err == nil && gone == nil {
			if len(regs) == 0 && was != nil && !os.SameFile(was, is) {
				err = fmt.Errorf("%s is another directory than before, and empty; is a volume not mounted any more?", d.Path)
			} else {
				was = is
			}
		}
		if err != nil && err.Error() != logged {
			orDiscard(d.Log).Error("the directory of kubeconfigs can't be read; the members stay as they are", "err", err)
		}
		logged = ""
		if err != nil {
			logged = err.Error()
		}
		return regs, err
	})
}

func (d Directory) read(last map[string]Registration) ([]Registration, error) {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return nil, err
	}
	var regs []Registration
	for _, entry := range entries {
		name := entry.Name()
		path := filepath.Join(d.Path, name)
		id, ok := fileID(name)
		if !ok || isDir(path) {
			continue
		}
		reg := d.Registration
		reg.ID, reg.Origin, reg.Limits = id, path, d.Limits[id]
		regs = append(regs, fromFile(reg, path, "", last))
	}
	return regs, nil
}

// fileID returns the cluster id that a file's name gives, and whether the file is taken for a kubeconfig at all.
func fileID(name string) (string, bool) {
	ext := filepath.Ext(name)
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return "", false
	}
	if !extensions[ext] {
		return "", false
	}
	return strings.TrimSuffix(name, ext), true
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
