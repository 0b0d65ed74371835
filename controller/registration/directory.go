package registration

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clusterset/multicluster/controller/mirror"
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

	hold time.Duration // how long it is doubted that most files are gone; 0 means 30 s
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
// its place: what a volume leaves behind that is not mounted any more. That most files are gone at once is believed when they
// stay away: somebody may be about to replace them (SPEC L6).
func (d Directory) Run(ctx context.Context, update func([]Registration)) error {
	if err := d.Check(); err != nil {
		return err
	}
	logged := ""
	var was os.FileInfo
	var most mirror.Absence
	return poll(ctx, d.Poll, update, func(last map[string]Registration) ([]Registration, error) {
		regs, err := d.read(last)
		if is, gone := os.Stat(d.Path); err == nil && gone == nil {
			if len(regs) == 0 && replaced(was, is) {
				err = fmt.Errorf("%s is another directory than before, and empty; is a volume not mounted any more?", d.Path)
			} else {
				was = is
			}
		}
		if err == nil {
			err = d.doubt(&most, last, regs)
		} else {
			most = mirror.Absence{} // what was there meanwhile was not seen
		}
		if err != nil && err.Error() != logged {
			orDiscard(d.Log).Error("the directory of kubeconfigs is not believed; the members stay as they are", "err", err)
		}
		logged = ""
		if err != nil {
			logged = err.Error()
		}
		return regs, err
	})
}

// replaced says whether another directory than before stands in the place of the one that was read.
func replaced(was, is os.FileInfo) bool { return was != nil && !os.SameFile(was, is) }

// doubt says why it is not believed yet that the files are gone that regs has no more; a is what is known of that absence.
func (d Directory) doubt(a *mirror.Absence, last map[string]Registration, regs []Registration) error {
	missing := len(last)
	for i := range regs {
		if _, known := last[regs[i].Origin]; known {
			missing--
		}
	}
	if missing == 0 || a.Until.IsZero() && 2*missing <= len(last) {
		*a = mirror.Absence{}
		return nil
	}
	hold := cmp.Or(d.hold, holdAbsences)
	if a.Until.IsZero() {
		a.Until = time.Now().Add(hold)
	}
	if a.Believed(time.Now(), time.Time{}) {
		return nil
	}
	return fmt.Errorf("%s: %d of %d files are gone at once; that is believed if they stay away for %v", d.Path, missing, len(last), hold)
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
