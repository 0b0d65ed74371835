// Package presubmit holds the rules of the house that no compiler knows, as tests: which package may import which, how long
// a file may get, what must not stand in the tree.
package presubmit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/clusterset/multicluster"

// TestPure: the pure packages take no client, clock, logger or context (STYLE 1).
func TestPure(t *testing.T) {
	all := packages(t)
	for _, pkg := range []string{"plugin/view", "controller/accept", "controller/keep", "controller/liveness", "controller/merge", "controller/plan", "controller/resolve", "controller/rules"} {
		if _, ok := all[pkg]; !ok {
			t.Errorf("%s does not exist", pkg)
		}
		for _, imported := range all[pkg] {
			if imported == "context" || imported == "log" || imported == "log/slog" || imported == "net/http" ||
				strings.HasPrefix(imported, "k8s.io/client-go") {
				t.Errorf("%s is pure but imports %s", pkg, imported)
			}
		}
	}
}

// TestProductIsLight: the product's module does not require what only tests and tools need.
func TestProductIsLight(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, heavy := range []string{"k8s.io/kubernetes ", "go.etcd.io/etcd/server", "k8s.io/apiserver ", "sigs.k8s.io/controller-runtime ", "helm.sh/helm"} {
		if bytes.Contains(mod, []byte(heavy)) {
			t.Errorf("go.mod requires %s; put it into a nested module", strings.TrimSpace(heavy))
		}
	}
}

// maxLines is how long a Go file may get; about 400 is the aim, the rest is room for a table of cases.
const maxLines = 450

// TestTree reads every file that git tracks, or would.
func TestTree(t *testing.T) {
	forbidden := regexp.MustCompile(`/wo` + `rk/|/ro` + `ot/|/far` + `m/|proxy\.go` + `lang|sum\.go` + `lang|deb\.deb` + `ian|registry\.npm` + `js`)
	openWork := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|not imple` + `mented`)
	for _, name := range tracked(t) {
		path := filepath.Join(root(t), name)
		body, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(body, 0) >= 0 {
			continue // removed in the work tree, or no text
		}
		for n, line := range strings.Split(string(body), "\n") {
			if forbidden.MatchString(line) {
				t.Errorf("%s:%d names a path of a machine or a registry's host", name, n+1)
			}
			if strings.HasSuffix(name, ".go") && openWork.MatchString(line) {
				t.Errorf("%s:%d leaves work open: %s", name, n+1, strings.TrimSpace(line))
			}
		}
		if lines := bytes.Count(body, []byte("\n")); strings.HasSuffix(name, ".go") && lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: is it one room, or several?", name, lines, maxLines)
		}
	}
}

// TestNames: no file is named after what it is instead of what it is about (STYLE 6).
func TestNames(t *testing.T) {
	for _, name := range tracked(t, "*.go") {
		switch filepath.Base(name) {
		case "utils.go", "util.go", "helpers.go", "helper.go", "common.go", "types.go", "misc.go":
			t.Errorf("%s: name it after what it is about", name)
		}
	}
}

// packages returns the direct imports of this module's packages, tests left out, by path below the module.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	imports, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

var listed = sync.OnceValues(func() (map[string][]string, error) {
	cmd := exec.Command("go", "list", "-e", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		imports[strings.TrimPrefix(fields[0], module+"/")] = fields[1:]
	}
	return imports, nil
})

// tracked returns the files that git tracks, or would, by path below the module.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	args := append([]string{"ls-files", "--cached", "--others", "--exclude-standard"}, patterns...)
	names := strings.Split(strings.TrimSpace(run(t, "git", args...)), "\n")
	if len(names) < 2 {
		t.Fatalf("git knows only the files %q", names)
	}
	return names
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// TestScreen: all that mcsctl prints passes the writer that escapes what clusters say to a terminal. Only main knows the real
// standard output, and Run wraps it before anything is said.
func TestScreen(t *testing.T) {
	around := regexp.MustCompile(`\bos\.Std(out|err)\b|\bfmt\.Print(|f|ln)\(|(^|[^\w.])print(|ln)\(|"log"|\bslog\.(Debug|Info|Warn|Error)\(|/dev/(std|tty)`)
	files, allowed := 0, 0
	for _, name := range strings.Fields(run(t, "git", "ls-files", "--cached", "--others", "--exclude-standard", "cmd/mcsctl/*.go")) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		body, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			continue
		}
		files++
		for n, line := range strings.Split(string(body), "\n") {
			switch {
			case !around.MatchString(line):
			case name == "cmd/mcsctl/main.go" && strings.Contains(line, "command.Run("):
				allowed++
			default:
				t.Errorf("%s:%d prints around package screen: %s", name, n+1, strings.TrimSpace(line))
			}
		}
	}
	if files < 10 || allowed != 1 {
		t.Errorf("%d files were read, with %d places that may know standard output", files, allowed)
	}
	wraps, err := os.ReadFile(filepath.Join(root(t), "cmd/mcsctl/command/root.go"))
	if err != nil || !strings.Contains(string(wraps), "\n\tstdout, stderr = screen.NewWriter(stdout), screen.NewWriter(stderr)\n") {
		t.Errorf("Run does not wrap its writers: %v", err)
	}
}
