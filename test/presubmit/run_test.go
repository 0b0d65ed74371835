package presubmit

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryTestIsRun: `.ci/run` runs the tests in every folder, and what one target leaves out, it or make nightly runs in another.
func TestEveryTestIsRun(t *testing.T) {
	m := readMakefile(read(t, "Makefile"))
	var folders, modules []string
	for _, name := range tracked(t, "*_test.go") {
		folders = append(folders, filepath.Dir(name))
	}
	for _, name := range tracked(t, "*go.mod") {
		modules = append(modules, filepath.Dir(name))
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	if len(folders) < 20 || len(modules) < 3 {
		t.Fatalf("only %v with tests and the modules %v are found", folders, modules)
	}
	for _, fault := range unrun(m, ciSteps(read(t, ".ci/run")), folders, modules) {
		t.Error(fault)
	}
}

var (
	testRun  = regexp.MustCompile(`TEST\)|REAL\)| test `)
	inModule = regexp.MustCompile(` -C (\S+) test .*\./\.\.\.`)
	inFolder = regexp.MustCompile(` \./([a-z0-9/]*[a-z0-9])(/\.\.\.)?`)
	leftOut  = regexp.MustCompile(`-skip '([^']*)'`)
	chosen   = regexp.MustCompile(`-run '([^']*)'`)
)

// unrun returns the folders with tests that the steps don't run, and the tests that are left out everywhere.
func unrun(m makefile, steps, folders, modules []string) (faults []string) {
	inCI := m.lines(steps)
	for _, folder := range folders {
		if !slices.ContainsFunc(inCI, func(line string) bool { return runs(line, folder, modules) }) {
			faults = append(faults, "no target that .ci/run makes runs the tests in "+folder)
		}
	}
	all := m.lines(append(slices.Clone(steps), m.nightly...))
	for _, line := range all {
		for _, out := range leftOut.FindAllStringSubmatch(line, -1) {
			if !slices.ContainsFunc(all, func(other string) bool {
				in := chosen.FindStringSubmatch(other)
				return in != nil && in[1] == out[1]
			}) {
				faults = append(faults, fmt.Sprintf("no gate runs %s, which a target leaves out", out[1]))
			}
		}
	}
	return faults
}

// lines returns the lines of the recipes of targets, and of those that these make.
func (m makefile) lines(targets []string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(m.reached(targets))) {
		lines = append(lines, strings.Split(m.targets[name].recipe, "\n")...)
	}
	return lines
}

// runs reports whether a line of a recipe runs the tests in a folder.
func runs(line, folder string, modules []string) bool {
	if !testRun.MatchString(line) || chosen.MatchString(line) {
		return false
	}
	nested := ""
	for _, m := range modules {
		if m != "." && below(folder, m) {
			nested = m
		}
	}
	if in := inModule.FindStringSubmatch(line); in != nil || nested != "" {
		return in != nil && in[1] == nested
	}
	if strings.Contains(line, "list ./...") && strings.Contains(line, "grep -v /test/") {
		return !below(folder, "test")
	}
	for _, in := range inFolder.FindAllStringSubmatch(line, -1) {
		if folder == in[1] || in[2] != "" && below(folder, in[1]) {
			return true
		}
	}
	return false
}

func below(folder, other string) bool { return folder == other || strings.HasPrefix(folder, other+"/") }

func TestUnrunFindsFaults(t *testing.T) {
	const text = "NIGHTLY := long bench\nunit:\n\t@pkgs=$$($(GO) list ./...) && $(TEST) $$(grep -v /test/)\nreal:\n\t$(REAL) -skip '^TestLong$$' ./test/a ./test/b/...\n" +
		"long:\n\t$(REAL) -run '^TestLong$$' ./test/a\nbench:\n\t$(GO) test -run '^$$' -bench . ./test/c\nnested:\n\t$(TALLY) $(GO) -C deploy/n test ./...\nhand:\n\t$(TEST) ./test/d\n"
	folders := []string{"plugin", "deploy", "deploy/n", "deploy/n/x", "test/a", "test/b", "test/b/x"}
	for name, c := range map[string]struct {
		old, new, folder string
		want             string
	}{
		"nothing wrong":            {},
		"a folder without target":  {folder: "test/e", want: "test/e"},
		"below a folder":           {folder: "test/a/x", want: "test/a/x"},
		"a name that begins alike": {folder: "test/bb", want: "test/bb"},
		"only benchmarks":          {folder: "test/c", want: "test/c"},
		"only by hand":             {folder: "test/d", want: "test/d"},
		"a module without target":  {folder: "tools/x", want: "tools/x"},
		"no unit tests":            {old: "list ./...", new: "list ./x", want: "plugin deploy"},
		"only built":               {old: "$(REAL) -skip", new: "$(GO) build -skip", want: "test/a test/b test/b/x"},
		"left out everywhere":      {old: "NIGHTLY := long", new: "NIGHTLY :=", want: "^TestLong$$"},
		"something else left out":  {old: "-skip '^TestLong$$'", new: "-skip '^TestShort$$'", want: "^TestShort$$"},
	} {
		t.Run(name, func(t *testing.T) {
			folders := slices.Clone(folders)
			if c.folder != "" {
				folders = append(folders, c.folder)
			}
			m := readMakefile(strings.Replace(text, c.old, c.new, 1))
			got := unrun(m, []string{"unit", "real", "nested"}, folders, []string{".", "deploy/n", "tools"})
			for i, fault := range got {
				fault = strings.TrimPrefix(fault, "no target that .ci/run makes runs the tests in ")
				got[i] = strings.TrimSuffix(strings.TrimPrefix(fault, "no gate runs "), ", which a target leaves out")
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// program writes a shell script into a new folder, and returns an environment in which it is found first, alone of its name.
func program(t *testing.T, name, script string) (env []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, variable := range os.Environ() {
		switch before, _, _ := strings.Cut(variable, "="); before {
		case "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GO", "MCS_REQUIRE":
		default:
			env = append(env, variable)
		}
	}
	return append(env, "PATH="+dir+":"+os.Getenv("PATH"))
}

// TestHelpNeedsNoGo: make help, and what make -n prints of any target, start no go command, which would download modules in a
// fresh clone; and make help lists every target.
func TestHelpNeedsNoGo(t *testing.T) {
	targets := slices.Sorted(maps.Keys(readMakefile(read(t, "Makefile")).targets))
	calls := filepath.Join(t.TempDir(), "calls")
	env := program(t, "go", "echo go \"$@\" >>"+calls+"; exit 1")
	for _, args := range append([][]string{{"help"}, {}}, dryRuns(targets)...) {
		cmd := exec.Command("make", args...)
		cmd.Dir, cmd.Env = root(t), env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("make %v: %v\n%s", args, err, out)
		}
		if called, err := os.ReadFile(calls); err == nil {
			t.Errorf("make %v calls %s", args, called)
			os.Remove(calls)
		}
		for _, target := range targets {
			if len(args) == 0 && !strings.Contains(string(out), "\n  "+target+" ") {
				t.Errorf("make without arguments does not list %s", target)
			}
		}
	}
	if out, err := func() ([]byte, error) {
		cmd := exec.Command("make", "control-plane")
		cmd.Dir, cmd.Env = root(t), env
		return cmd.CombinedOutput()
	}(); err == nil {
		t.Errorf("the go command of this test is not the one that make calls:\n%s", out)
	}
}

func dryRuns(targets []string) (args [][]string) {
	for _, target := range targets {
		args = append(args, []string{"-n", target})
	}
	return args
}

// TestCIReports: .ci/run lets nothing be skipped, ends at the first step that fails, and prints in any case how long each took.
func TestCIReports(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, ".ci", "run")
	if err := os.WriteFile(script, []byte(read(t, ".ci/run")), 0o755); err != nil {
		t.Fatal(err)
	}
	steps := ciSteps(read(t, ".ci/run"))
	const took = ` +\d+m\d\ds  `
	for name, c := range map[string]struct {
		fails string
		want  string // a regular expression
	}{
		"all pass":        {"", `=== all passed \(\S+\), \d+m\d\ds\n` + strings.Join(steps, took+`passed\n`) + took + `passed\n$`},
		"the third fails": {steps[2], `=== FAILED \(\S+\), \d+m\d\ds\n` + strings.Join(steps[:2], took+`passed\n`) + took + `passed\n` + steps[2] + took + `failed\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(script)
			cmd.Env = append(program(t, "make", `echo "$1 with $MCS_REQUIRE"; [ "$1" != "$FAILS" ] || exit 2`), "FAILS="+c.fails)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (c.fails == "") || !regexp.MustCompile(c.want).Match(out) {
				t.Errorf("got %v, want an end as %s:\n%s", err, c.want, out)
			}
			if want := steps[0] + " with all\n"; !strings.Contains(string(out), want) {
				t.Errorf("it does not make %q:\n%s", want, out)
			}
		})
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
