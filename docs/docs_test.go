package docs

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/programs"
)

var update = flag.Bool("update", false, "write what the programs say into the pages")

// help builds a program and returns what its --help says.
func help(t *testing.T, pkg string, args ...string) string {
	t.Helper()
	built, err := programs.Build(t.Context(), os.Stderr, pkg)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(built[0], append(args, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %v --help: %v", pkg, args, err)
	}
	return string(out)
}

// TestControllerFlags: the reference has what the controller says of itself, so no flag is missing.
func TestControllerFlags(t *testing.T) {
	text := help(t, "cmd/mcs-controller")
	body, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(body), "## mcs-controller\n\n```\n")
	_, after, closed := strings.Cut(rest, "```\n\n## Corefile")
	if !found || !closed {
		t.Fatal("reference.md has no place for the controller's flags")
	}
	want := before + "## mcs-controller\n\n```\n" + strings.TrimSpace(text) + "\n```\n\n## Corefile" + after
	if *update {
		if err := os.WriteFile("reference.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(body) {
		t.Error("reference.md does not have the controller's flags as they are; go test ./docs -update writes them")
	}
}

// TestCorefileOptions: the reference has every option of the plugin, as the parser knows them, and no other.
func TestCorefileOptions(t *testing.T) {
	source, err := os.ReadFile("../plugin/corefile.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(source), "var options = map[string]")
	table, _, _ = strings.Cut(table, "\n}\n")
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^\t"(\w+)":`).FindAllStringSubmatch(table, -1) {
		known = append(known, m[1])
	}
	page, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Corefile\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := []string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)").FindAllStringSubmatch(section, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(known)
	slices.Sort(documented)
	if len(known) == 0 || !slices.Equal(known, documented) {
		t.Errorf("the parser knows %q, the reference has %q", known, documented)
	}
}

// TestAnnotations: the tables of the reference have every label and annotation under our domain that some program reads or
// writes, and no other; no page names one that they don't have.
func TestAnnotations(t *testing.T) {
	sources := goSources(t, "../internal", "../controller", "../cmd", "../plugin")
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`\bDomain *\+ *"/([a-z0-9-]+)"`).FindAllStringSubmatch(sources, -1) {
		known[m[1]] = true
	}
	limits := regexp.MustCompile(`(?m)^\tLimit\w+ += "([a-z0-9-]+)"`).FindAllStringSubmatch(sources, -1) // each an annotation of a member's Secret
	for _, m := range limits {
		known[m[1]] = true
	}
	if len(limits) == 0 || len(known) == len(limits) {
		t.Fatalf("the sources have no limits, or nothing else: %v", known)
	}
	reference, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| (?:label )?`clusterset\\.dev/([a-z0-9-]+)` \\|").FindAllStringSubmatch(string(reference), -1) {
		documented[m[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !documented[name] {
			t.Errorf("reference.md: no table has clusterset.dev/%s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if !known[name] {
			t.Errorf("reference.md: nothing knows clusterset.dev/%s", name)
		}
	}
	for _, page := range allPages(t) {
		for _, m := range regexp.MustCompile(`clusterset\.dev/([a-z0-9-]+)`).FindAllStringSubmatch(page.text, -1) {
			if !known[m[1]] {
				t.Errorf("%s: nothing knows %s", page.name, m[0])
			}
		}
	}
}

// TestQuotes: what troubleshooting.md quotes is printed by mcsctl, as the goldens of its tests have it.
func TestQuotes(t *testing.T) {
	files, err := filepath.Glob("../test/integration/mcsctl/testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	usual := strings.NewReplacer(" --kubeconfig FILE", "", " --context c2", " --context c1") // the pages have no file, and one cluster
	var printed strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		printed.WriteString(usual.Replace(string(text)))
	}
	blocks, err := Blocks("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	quotes := 0
	for _, b := range blocks {
		for _, line := range strings.Split(strings.TrimSpace(b.Text), "\n") {
			if b.Language != "text" {
				continue
			}
			quotes++
			if !strings.Contains(printed.String(), line) {
				t.Errorf("%s:%d: nothing prints %q", b.Page, b.Line, line)
			}
		}
	}
	if quotes == 0 {
		t.Error("troubleshooting.md quotes nothing")
	}
}

// page is a text with commands in it.
type page struct{ name, dir, text string }

// allPages are those of this folder and below, and the READMEs.
func allPages(t *testing.T) (pages []page) {
	t.Helper()
	names := []string{"../README.md", "../deploy/README.md", "../test/README.md", "../CONTRIBUTING.md", "../SECURITY.md"}
	design, err := filepath.Glob("design/*.md")
	if err != nil || len(design) == 0 {
		t.Fatalf("no pages about the design: %v", err)
	}
	for _, name := range slices.Concat(names, design, Pages()) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page{name, filepath.Dir(name), string(text)})
	}
	return pages
}

func goSources(t *testing.T, dirs ...string) string {
	t.Helper()
	var all bytes.Buffer
	for _, dir := range dirs {
		out, err := exec.Command("grep", "-rh", "--include=*.go", "--exclude=*_test.go", "", dir).Output()
		if err != nil {
			t.Fatalf("reading %s: %v", dir, err)
		}
		all.Write(out)
	}
	return all.String()
}

// TestLinks: what the pages link to in the tree is there, headings included.
func TestLinks(t *testing.T) {
	for _, p := range allPages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(p.text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, heading, _ := strings.Cut(m[1], "#")
			target := filepath.Join(p.dir, path)
			if path == "" {
				target = p.name
			}
			info, err := os.Stat(target)
			if err != nil {
				t.Errorf("%s: %s is not there", p.name, m[1])
				continue
			}
			if heading == "" || info.IsDir() {
				continue
			}
			text, err := os.ReadFile(target)
			if err != nil || !slices.Contains(anchors(string(text)), heading) {
				t.Errorf("%s: %s has no heading #%s", p.name, target, heading)
			}
		}
	}
}

// TestPaths: what the pages for contributors say is somewhere in the tree is there, but for where it is to go.
func TestPaths(t *testing.T) {
	seen := 0
	for _, p := range allPages(t) {
		if p.dir != "design" && p.dir != "../test" {
			continue
		}
		text := regexp.MustCompile(`(?s)\n## Where it goes\n.*?\n## `).ReplaceAllString(p.text, "")
		for _, m := range regexp.MustCompile("`((?:cmd|controller|deploy|docs|internal|plugin|test)/[a-z0-9_/.-]*)`").FindAllStringSubmatch(text, -1) {
			seen++
			if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
				t.Errorf("%s: there is no %s", p.name, m[1])
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d paths were found", seen)
	}
}

// anchors are the headings of a page as they are linked to.
func anchors(text string) (list []string) {
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		title = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(title, "")
		list = append(list, strings.ReplaceAll(title, " ", "-"))
	}
	return list
}

func (p page) at(b Block) string { return fmt.Sprintf("%s:%d", p.name, b.Line) }

// TestIndex: README.md of this folder links to every page here and below, and to those that have their place elsewhere.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range allPages(t) {
		if p.name != "README.md" && p.name != "../README.md" && !strings.Contains(string(index), "]("+p.name+")") {
			t.Errorf("docs/README.md does not link to %s", p.name)
		}
	}
}

// TestFiveCommands: the first page of the repository has the commands of getting-started.md, which are run.
func TestFiveCommands(t *testing.T) {
	const section = "Five commands"
	want, err := Commands("getting-started.md", section)
	if err != nil || len(want) < 5 {
		t.Fatalf("getting-started.md has %q: %v", want, err)
	}
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range BlocksOf("../README.md", string(text)) {
		if b.Section == section {
			got = append(got, b.Commands()...)
		}
	}
	if !slices.Equal(got, want[:5]) {
		t.Errorf("README.md has the commands %q, want %q", got, want[:5])
	}
}
