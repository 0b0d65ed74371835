package validate

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestFlags: the controller has every flag that the manifests give it, and takes their values.
func TestFlags(t *testing.T) {
	controller := program(t, "mcs-controller")
	help, err := exec.Command(controller, "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("--help: %v\n%s", err, help)
	}
	known := regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(string(help), -1)
	for origin, args := range map[string][]string{
		"kustomize": resolved(t, kustomized(t, "overlays/both"), "mcs-controller").Containers[0].Args,
		"chart":     deployment(t, rendered(t, release, everything), "mcs-controller").Spec.Template.Spec.Containers[0].Args,
	} {
		for _, arg := range args {
			flag, _, _ := strings.Cut(arg, "=")
			if !slices.Contains(known, flag) {
				t.Errorf("%s: the controller has no flag %s", origin, flag)
			}
		}
		// It can't know its cluster outside of a pod: any other complaint is about the flags.
		out, _ := exec.Command(controller, args...).CombinedOutput()
		if !strings.Contains(string(out), "want --kubeconfig, or a pod") {
			t.Errorf("%s: %q\nit says: %s", origin, args, out)
		}
	}
}
