package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A source is the nested module that the programs are compiled from.
type source struct {
	dir     string
	version string // of Kubernetes, as "v1.37.2"
	key     string // version, platform and a hash of all that determines the result but the Go toolchain
}

const (
	modulePath = "github.com/clusterset/multicluster"
	sourcePath = "test/controlplane/binaries" // in the module
)

// findSource finds the nested module in the checkout that this program runs in (the working directory or one above
// it), else in the one that it was compiled from.
func findSource() (*source, error) {
	dir, err := checkoutOf(".")
	if err != nil {
		_, file, _, _ := runtime.Caller(0)
		if dir, err = checkoutOf(filepath.Dir(file)); err != nil {
			return nil, fmt.Errorf("no checkout of %s at or above the working directory: run it from there", modulePath)
		}
	}
	return readSource(filepath.Join(dir, filepath.FromSlash(sourcePath)))
}

// checkoutOf returns the directory at or above dir that is the root of this module.
func checkoutOf(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module "+modulePath+"\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}

var kubernetesRequired = regexp.MustCompile(`(?m)^\s*(?:require )?k8s\.io/kubernetes (v\S+)$`)

// readSource reads the version and computes the key of the module in dir.
func readSource(dir string) (*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	files = append(files, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
	slices.Sort(files)
	hash := sha256.New()
	src := &source{dir: dir}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(file), len(content), content)
		if m := kubernetesRequired.FindSubmatch(content); m != nil && filepath.Base(file) == "go.mod" {
			src.version = string(m[1])
		}
	}
	if src.version == "" {
		return nil, fmt.Errorf("%s does not require k8s.io/kubernetes", filepath.Join(dir, "go.mod"))
	}
	fmt.Fprint(hash, src.buildFlags())
	src.key = fmt.Sprintf("%s-%s-%s-%.6x", src.version, runtime.GOOS, runtime.GOARCH, hash.Sum(nil))
	return src, nil
}

// buildFlags makes a small, static binary that says the version it is made of, as hack/lib/version.sh of Kubernetes does.
func (src *source) buildFlags() []string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(src.version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	ldflags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range []string{"gitVersion=" + src.version, "gitMajor=" + major, "gitMinor=" + minor, "gitTreeState=archive"} {
			ldflags = append(ldflags, "-X", pkg+"."+v)
		}
	}
	return []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=" + strings.Join(ldflags, " ")}
}

// compile downloads the modules, compiles and links the binary. An interrupted go command leaves its temporary files, so
// they are in work, which is the caller's to remove.
func (src *source) compile(ctx context.Context, binary, work string, progress io.Writer) error {
	start := time.Now()
	fmt.Fprintf(progress, "controlplane: building %s of Kubernetes %s; minutes the first time\n",
		strings.Join(Programs, ", "), src.version)
	packages, err := src.packages(ctx, work, progress)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-v", "-o", binary}, src.buildFlags()...)
	err = src.goTool(ctx, work, append(args, "."), io.Discard, func(lines int, elapsed time.Duration) {
		fmt.Fprintf(progress, "controlplane: %s: compiled %d of at most %d packages\n", elapsed, lines, packages)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "controlplane: built in %s\n", time.Since(start).Round(time.Second))
	return nil
}

// packages downloads the modules that are needed, and returns how many packages the binary consists of.
func (src *source) packages(ctx context.Context, work string, progress io.Writer) (int, error) {
	var list bytes.Buffer
	args := append([]string{"list", "-deps"}, src.buildFlags()...)
	err := src.goTool(ctx, work, append(args, "."), &list, func(lines int, elapsed time.Duration) {
		fmt.Fprintf(progress, "controlplane: %s: downloaded %d modules\n", elapsed, lines)
	})
	return bytes.Count(list.Bytes(), []byte("\n")), err
}

// goTool runs the go command in src, with its temporary files in work, and calls report now and then with the number of
// lines that it has printed to its standard error so far.
func (src *source) goTool(ctx context.Context, work string, args []string, stdout io.Writer, report func(lines int, elapsed time.Duration)) error {
	stderr := &lineCounter{}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = src.dir, stdout, stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOTMPDIR="+work)
	// When it is interrupted, so are the compilers that it runs.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	dieWithParent(cmd.SysProcAttr)

	defer every(reportEvery, func(elapsed time.Duration) { report(int(stderr.lines.Load()), elapsed) })()
	err := startOnLastingThread(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; what is compiled already is kept by the go command: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return err
	}
	return fmt.Errorf("go %s in %s: %w:\n%s", args[0], src.dir, err, stderr.complaints())
}

// every calls f in the background until the returned function is called, which waits for it.
func every(interval time.Duration, f func(elapsed time.Duration)) (stop func()) {
	start, done, stopped := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				f(time.Since(start).Round(time.Second))
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// A lineCounter keeps what is written to it, and counts the lines meanwhile.
type lineCounter struct {
	lines atomic.Int64
	text  bytes.Buffer
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines.Add(int64(bytes.Count(p, []byte("\n"))))
	return c.text.Write(p)
}

// complaints returns the last lines that are not the names of packages or modules in work.
func (c *lineCounter) complaints() string {
	const most = 20
	var lines []string
	for scan := bufio.NewScanner(&c.text); scan.Scan(); {
		if line := scan.Text(); strings.ContainsAny(line, " \t") && !strings.HasPrefix(line, "go: downloading ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
