// Package programs compiles this module's own programs for tests that run them.
package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Module is the import path that the packages named to [Build] are below.
const Module = "github.com/clusterset/multicluster"

// Build compiles main packages of this module, given by their path below it ("cmd/coredns"), as `make build` does, and
// returns the paths of the programs in the same order. They stay in the user's cache directory, so that a second call
// only looks whether anything changed. What Go prints goes to progress, and a word when it takes long.
func Build(ctx context.Context, progress io.Writer, packages ...string) ([]string, error) {
	root, err := Root(ctx)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding a place to keep the programs: %w", err)
	}
	// Another checkout has other programs.
	dir := filepath.Join(cache, "multicluster", "programs", fmt.Sprintf("%x", sha256.Sum256([]byte(root)))[:12])
	args, cgo := []string{"build", "-trimpath", "-ldflags", "-s -w"}, "CGO_ENABLED=0"
	if Raced {
		dir, args, cgo = dir+"-race", append(args, "-race"), "CGO_ENABLED=1"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args = append(args, "-o", dir+string(filepath.Separator))
	built := make([]string, len(packages))
	for i, pkg := range packages {
		args = append(args, Module+"/"+pkg)
		built[i] = filepath.Join(dir, path.Base(pkg))
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), cgo)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = progress, io.MultiWriter(progress, &complaint)
	stop := reportLong(progress, "compiling "+strings.Join(packages, ", "))
	err = cmd.Run()
	stop()
	if err != nil {
		return nil, fmt.Errorf("building %s: %w: %s", strings.Join(packages, ", "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return built, nil
}

// reportLong says on w what is being done, once it has lasted for two seconds, and then every 15 s for how long, until stop
// is called.
func reportLong(w io.Writer, what string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		began := time.Now()
		for next := 2 * time.Second; ; next = 15 * time.Second {
			select {
			case <-time.After(next):
				fmt.Fprintf(w, "%s: %s; minutes the first time, then cached\n", what, time.Since(began).Round(time.Second))
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// Root returns the directory of this module's go.mod, wherever in it the caller runs.
func Root(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", Module)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding the source of %s: %w", Module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
