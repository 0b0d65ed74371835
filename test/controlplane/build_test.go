package controlplane

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestBuildOnce builds a small program in the place of the big one, twice at once, and then not again.
func TestBuildOnce(t *testing.T) {
	src := smallSource(t, `package main; import "os"; func main() { print("I am ", os.Args[0]) }`)
	cache := t.TempDir()
	var said [2]bytes.Buffer
	var dirs [2]string
	var wg sync.WaitGroup
	for i := range dirs {
		wg.Go(func() {
			var err error
			if dirs[i], err = src.builtIn(t.Context(), cache, &said[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if dirs[0] != dirs[1] {
		t.Errorf("two builds of one source are in %q", dirs)
	}
	if n := strings.Count(said[0].String()+said[1].String(), "built in"); n != 1 {
		t.Errorf("two calls at once built %d times: %s%s", n, &said[0], &said[1])
	}
	for _, name := range Programs {
		path := filepath.Join(dirs[0], name)
		out, err := exec.CommandContext(t.Context(), path).CombinedOutput()
		if want := "I am " + path; err != nil || string(out) != want {
			t.Errorf("%s printed %q, error %v, want %q", name, out, err, want)
		}
	}
	var again bytes.Buffer
	if _, err := src.builtIn(t.Context(), cache, &again); err != nil || again.Len() > 0 {
		t.Errorf("a third call printed %q, error %v, want silence", &again, err)
	}
}

// TestBuildFails: the compiler's words reach the caller, and no half result is taken for a whole one.
func TestBuildFails(t *testing.T) {
	cache := t.TempDir()
	broken := smallSource(t, "package main; func main() { undefined() }")
	if _, err := broken.builtIn(t.Context(), cache, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("a source that does not compile gave error %v", err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	sound := smallSource(t, "package main; func main() {}")
	if _, err := sound.builtIn(interrupted, cache, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted build gave error %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if left = slices.DeleteFunc(left, func(path string) bool { return strings.HasSuffix(path, ".lock") }); len(left) > 0 {
		t.Errorf("failed builds left %q", left)
	}
}

// smallSource makes a module with one file, which passes for one that needs Kubernetes.
func smallSource(t *testing.T, program string) *source {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"main.go": program,
		"go.mod":  "module small\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v1.2.3\n",
		"go.sum":  "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src, err := readSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	if src.version != "v1.2.3" || !strings.HasPrefix(src.key, "v1.2.3-") {
		t.Fatalf("read version %q and key %q from a go.mod that says v1.2.3", src.version, src.key)
	}
	// The go command would look for it, though no package is of it.
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module small\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return src
}

// TestKey: whatever changes the result changes the key.
func TestKey(t *testing.T) {
	a, b := smallSource(t, "package main; func main() {}"), smallSource(t, "package main; func main() { }")
	same := smallSource(t, "package main; func main() {}")
	if a.key == b.key || a.key != same.key {
		t.Errorf("keys of two sources are %s and %s, of the first again %s", a.key, b.key, same.key)
	}
}

// TestAssets: KUBEBUILDER_ASSETS comes first, and is told what it lacks.
func TestAssets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(assetsVariable, dir)
	add := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(missing string) {
		t.Helper()
		_, err := Build(t.Context(), os.Stderr)
		if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), assetsVariable+"="+dir) {
			t.Errorf("without %s, Build gave error %v", missing, err)
		}
	}
	fails("no executable etcd")
	add("etcd", 0o755)
	add("kube-apiserver", 0o644)
	fails("no executable kube-apiserver")
	for _, name := range Programs {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		add(name, 0o755)
	}
	b, err := Build(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Programs {
		if want := filepath.Join(dir, name); b.Path(name) != want {
			t.Errorf("%s is %s, want %s", name, b.Path(name), want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "kube-proxy")); err != nil {
		t.Fatal(err)
	}
	if b, err = Build(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	out, err := b.Command(t.Context(), "kube-proxy", "--version").Output()
	if want := "Kubernetes " + readVersion(t) + "\n"; err != nil || string(out) != want {
		t.Errorf("kube-proxy, which the assets lack, prints %q, error %v, want %q", out, err, want)
	}
	if want := filepath.Join(dir, "etcd"); b.Path("etcd") != want {
		t.Errorf("etcd, which the assets have, is %s, want %s", b.Path("etcd"), want)
	}
}
