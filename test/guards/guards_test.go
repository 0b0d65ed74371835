package main

import (
	"os"
	"strings"
	"testing"
)

// TestGuardsAreThere: every guard is found where the list says, and its test too, so that `make guards` keeps its sense
// while the code changes.
func TestGuardsAreThere(t *testing.T) {
	for _, g := range guards {
		code, err := os.ReadFile("../../" + g.file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(code), g.code); n != 1 {
			t.Errorf("%s, %s: %s has its code %d times, want once: %q", g.spec, g.what, g.file, n, g.code)
		}
		if !hasTest(t, "../../"+g.pkg, g.test) {
			t.Errorf("%s, %s: no test %s in %s", g.spec, g.what, g.test, g.pkg)
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
