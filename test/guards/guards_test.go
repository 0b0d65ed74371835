package main

import (
	"os"
	"strings"
	"testing"
)

// TestGuardsAreThere: every guard is found where the list says, can be taken out, and has its test, so that `make guards`
// keeps its sense while the code changes.
func TestGuardsAreThere(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range guards {
		name := g.spec + ", " + g.what
		if seen[name] {
			t.Errorf("%s: listed twice", name)
		}
		seen[name] = true
		d, err := g.at.find("../..")
		if err == nil {
			_, err = d.mutate(g.without) // which parses, and differs
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !hasTest(t, "../../"+g.pkg, g.test) {
			t.Errorf("%s: no test %s in %s", name, g.test, g.pkg)
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
