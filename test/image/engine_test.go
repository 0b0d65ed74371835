package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEngine: `make image` takes the first engine that works, not the first that is installed: docker's command is often there
// without its daemon.
func TestEngine(t *testing.T) {
	bin := t.TempDir()
	for name, script := range map[string]string{
		"docker":  "exit 1",                                        // no daemon
		"buildah": `[ "$1" = info ] || echo "buildah $*" >>"$LOG"`, // works
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{"dirname", "git", "id", "bash", "env"} {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(bin, "log")
	cmd := exec.Command("../../deploy/image/build.sh", "coredns")
	cmd.Env = []string{"PATH=" + bin, "LOG=" + log, "VERSION=" + stamp}
	out, err := cmd.CombinedOutput()
	built, _ := os.ReadFile(log)
	if err != nil || !strings.Contains(string(built), "buildah build ") || !strings.Contains(string(built), "coredns-multicluster:"+stamp) {
		t.Errorf("%v\n%s\ncalled:\n%s", err, out, built)
	}
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(dockerfile), "ARG GO_IMAGE=docker.io/library/golang:") {
		t.Error("the Dockerfile names the image with the toolchain by a short name, which buildah refuses or asks about")
	}
}
