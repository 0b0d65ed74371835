// Package image tests the images: that the Dockerfile builds them from nothing but this machine's Go toolchain, that they hold
// what they should and nothing else, and that what they hold runs as Kubernetes would run it.
package image

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/need"
)

// stamp is the version that the programs are built as.
const stamp = "v0.0.0-image-test"

// A store is where one test keeps its images: a place of its own, that goes with the test.
type store struct {
	t     *testing.T
	flags []string
}

// newStore skips the test where images can't be built.
func newStore(t *testing.T) *store {
	t.Helper()
	need.Images.OrSkip(t)
	dir := t.TempDir()
	return &store{t, []string{"--root", dir + "/storage", "--runroot", dir + "/run", "--storage-driver", "vfs"}}
}

// build calls the script that `make image` calls, for one target, and returns the image's name.
func (s *store) build(target string, env ...string) string {
	s.t.Helper()
	cmd := exec.Command("../../deploy/image/build.sh", target)
	cmd.Env = append(os.Environ(), "ENGINE=buildah", "ENGINE_FLAGS="+strings.Join(s.flags, " "),
		"GO_IMAGE=host", "BASE_IMAGE=scratch", "IMAGE_PREFIX=localhost/", "VERSION="+stamp, "PLATFORMS=", "BUILD_FLAGS=")
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("building %s: %v\n%s", target, err, out)
	}
	if target == "coredns" {
		target = "coredns-multicluster"
	}
	return "localhost/" + target + ":" + stamp
}

// buildah runs buildah on the store, and returns what it prints.
func (s *store) buildah(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("buildah", append(slices.Clone(s.flags), args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		s.t.Fatalf("buildah %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// unpack returns a folder with the files of an image. It goes with the test.
func (s *store) unpack(image string) string {
	s.t.Helper()
	container := s.buildah("from", "--pull-never", image)
	s.t.Cleanup(func() { s.buildah("rm", container) })
	return s.buildah("mount", container)
}

// config is what an image says of itself.
type config struct {
	ID           string `json:"FromImageID"`
	Architecture string
	OCIv1        struct {
		Config struct {
			User         string
			Entrypoint   []string
			ExposedPorts map[string]struct{}
			Labels       map[string]string
		} `json:"config"`
	}
}

func (s *store) config(image string) config {
	s.t.Helper()
	var c config
	if err := json.Unmarshal([]byte(s.buildah("inspect", "--type", "image", image)), &c); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestCoreDNS: an image that holds CoreDNS and nothing else, which answers on port 53 without being root.
func TestCoreDNS(t *testing.T) {
	s := newStore(t)
	image := s.build("coredns")
	c := s.config(image).OCIv1.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/coredns"}) ||
		c.Labels["org.opencontainers.image.version"] != stamp {
		t.Errorf("got config %+v", c)
	}
	for _, port := range []string{"53/udp", "53/tcp"} {
		if _, ok := c.ExposedPorts[port]; !ok {
			t.Errorf("port %s is not exposed", port)
		}
	}
	root := s.unpack(image)
	if got := files(t, root); !slices.Equal(got, []string{"coredns"}) {
		t.Errorf("the image holds %q, want coredns alone", got)
	}

	out := output(t, container{root: root, capability: true, args: []string{"/coredns", "-version"}})
	if !strings.HasPrefix(out, "CoreDNS-1.15.0\n") || !strings.Contains(out, stamp) {
		t.Errorf("-version says %q", out)
	}
	out = output(t, container{root: root, capability: true, args: []string{"/coredns", "-plugins"}})
	if !slices.Contains(strings.Fields(out), "multicluster") {
		t.Errorf("-plugins says %q", out)
	}
	if err := (container{root: root, args: []string{"/coredns", "-version"}}).command().Run(); err == nil {
		t.Error("it starts without NET_BIND_SERVICE: the file capability is gone")
	}
	answers(t, root)
}

// TestOthers: images that hold one program and nothing else, which needs no privilege at all.
func TestOthers(t *testing.T) {
	s := newStore(t)
	for target, ask := range map[string][]string{"mcs-controller": {"--version"}, "mcsctl": {"version"}} {
		t.Run(target, func(t *testing.T) {
			image := s.build(target)
			c := s.config(image).OCIv1.Config
			if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/" + target}) {
				t.Errorf("got config %+v", c)
			}
			root := s.unpack(image)
			if got := files(t, root); !slices.Equal(got, []string{target}) {
				t.Errorf("the image holds %q, want %s alone", got, target)
			}
			out := output(t, container{root: root, args: append([]string{"/" + target}, ask...)})
			if !strings.Contains(out, stamp) {
				t.Errorf("it says it is %q, not %s", out, stamp)
			}
		})
	}
}

// TestReproducible: the same source gives the same image, and the same program as a build outside of any container.
func TestReproducible(t *testing.T) {
	s := newStore(t)
	image := s.build("coredns")
	first := s.config(image).ID
	image = s.build("coredns", "BUILD_FLAGS=--no-cache")
	if second := s.config(image).ID; first == "" || first != second {
		t.Errorf("two builds gave the images %s and %s", first, second)
	}
	outside := filepath.Join(t.TempDir(), "coredns")
	cmd := exec.Command("go", "build", "-o", outside, "./cmd/coredns")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0",
		"GOFLAGS=-trimpath -buildvcs=false '-ldflags=-s -w -X github.com/coredns/coredns/coremain.GitCommit="+stamp+"'")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if !bytes.Equal(read(t, outside), read(t, s.unpack(image)+"/coredns")) {
		t.Error("the program in the image is another than go build makes here")
	}
}

// TestOtherPlatform: nothing of the target platform runs while its image is built. It compiles everything for that platform,
// which takes minutes, so that `make images` leaves it to `make images-arm64`.
func TestOtherPlatform(t *testing.T) {
	s := newStore(t)
	image := s.build("mcs-controller", "PLATFORMS=linux/arm64")
	program, err := elf.Open(s.unpack(image) + "/mcs-controller")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != elf.EM_AARCH64 {
		t.Errorf("the program is for %s", program.Machine)
	}
}

// files lists the regular files below root.
func files(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
