package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Programs are the names of what [Build] provides.
var Programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kubectl"}

// assetsVariable names a directory with ready-made etcd, kube-apiserver and, optionally, the other [Programs]: the
// convention of sigs.k8s.io/controller-runtime's envtest.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Binaries are the programs that clusters are made of.
type Binaries struct {
	// Dir holds the programs under their names, so that it can go on a PATH: the built ones, or those of
	// KUBEBUILDER_ASSETS where that has all of them.
	Dir string

	paths map[string]string
}

// Path returns the absolute path of a program. It panics if name is none of [Programs].
func (b *Binaries) Path(name string) string {
	path, ok := b.paths[name]
	if !ok {
		panic(fmt.Sprintf("controlplane: %q is none of %v", name, Programs))
	}
	return path
}

// Command returns the command that runs a program; see [exec.CommandContext] and [Binaries.Path].
func (b *Binaries) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, b.Path(name), args...)
}

// add makes the programs in dir those of b, except those that b has already.
func (b *Binaries) add(dir string, programs []string) {
	for _, name := range programs {
		if _, ok := b.paths[name]; !ok {
			b.paths[name] = filepath.Join(dir, name)
		}
	}
}

// assets returns which programs the directory that KUBEBUILDER_ASSETS names has, none if it is not set.
func assets() (dir string, programs []string, err error) {
	dir = os.Getenv(assetsVariable)
	if dir == "" {
		return "", nil, nil
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	for _, name := range Programs {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			programs = append(programs, name)
		}
	}
	for _, needed := range []string{"etcd", "kube-apiserver"} {
		if !slices.Contains(programs, needed) {
			return "", nil, fmt.Errorf("%s=%s: no executable %s there; add it, or unset the variable to have it built",
				assetsVariable, dir, needed)
		}
	}
	return dir, programs, nil
}
