package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommands: every command that a page tells to type names programs, subcommands, flags and files that exist. Those that
// can be run are, by test/e2e/docs.
func TestCommands(t *testing.T) {
	known := map[string][]string{} // flags by "mcsctl join", "mcs-controller"
	seen := 0
	for _, p := range allPages(t) {
		for _, b := range BlocksOf(p.name, p.text) {
			if b.Language != "console" {
				continue
			}
			for _, command := range b.Commands() {
				seen++
				checkFiles(t, p.at(b), command)
				for _, simple := range simpleCommands(command) {
					checkFlags(t, p.at(b), simple, known)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were found", seen)
	}
}

// TestUpgradeOrder_G1: where a folder has both CoreDNS and the controller, the page has CoreDNS replaced, and ready, first.
func TestUpgradeOrder_G1(t *testing.T) {
	commands, err := Commands("upgrading.md", "CoreDNS and the controller from one folder")
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, want := range []string{"apply -k deploy/coredns", "-n mcs-dns rollout status deployment/coredns-multicluster", "mcsctl --context c1 dns", "apply -k deploy/overlays/both"} {
		next := slices.IndexFunc(commands, func(c string) bool { return strings.Contains(c, want) })
		if next <= at {
			t.Errorf("%q is missing, or too early, in %q", want, commands)
		}
		at = next
	}
}

// simpleCommands splits a line at what joins commands; here-documents are left out.
func simpleCommands(command string) (list [][]string) {
	command, _, _ = strings.Cut(command, "<<")
	command = regexp.MustCompile(`(^|\s)#.*`).ReplaceAllString(command, "")
	command = strings.ReplaceAll(command, "\\\n", " ")
	for _, part := range regexp.MustCompile(`\|\||&&|[|;&\n]|\$\(|\bdo\b`).Split(command, -1) {
		if words := strings.Fields(strings.Trim(part, " ()")); len(words) > 0 {
			list = append(list, words)
		}
	}
	return list
}

// checkFlags looks the flags of our own programs up in what they say of themselves.
func checkFlags(t *testing.T, at string, words []string, known map[string][]string) {
	t.Helper()
	for len(words) > 0 && strings.Contains(words[0], "=") { // variables
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	program := filepath.Base(words[0])
	if program != "mcsctl" && program != "mcs-controller" {
		return
	}
	var sub []string
	if program == "mcsctl" {
		sub = subcommand(t, at, words[1:], known)
	}
	flags := flagsOf(t, program, sub, known)
	for _, word := range words[1:] {
		name, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "-") && !slices.Contains(flags, name) {
			t.Errorf("%s: %s %v has no flag %s", at, program, sub, name)
		}
	}
}

// subcommand is the first word that is one.
func subcommand(t *testing.T, at string, words []string, known map[string][]string) []string {
	t.Helper()
	if known["subcommands"] == nil {
		_, list, _ := strings.Cut(help(t, "cmd/mcsctl"), "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for _, line := range strings.Split(list, "\n") {
			known["subcommands"] = append(known["subcommands"], strings.Fields(line)[0])
		}
	}
	for _, word := range words {
		if slices.Contains(known["subcommands"], word) {
			return []string{word}
		}
	}
	t.Errorf("%s: %q has none of mcsctl's commands", at, words)
	return nil
}

func flagsOf(t *testing.T, program string, sub []string, known map[string][]string) []string {
	t.Helper()
	key := strings.Join(append([]string{program}, sub...), " ")
	if known[key] == nil {
		text := help(t, "cmd/"+program, sub...)
		known[key] = regexp.MustCompile(`(?m)-{1,2}[a-z][a-z-]*`).FindAllString(text, -1)
	}
	return known[key]
}

// checkFiles: folders and files of this tree that a command names are there.
func checkFiles(t *testing.T, at, command string) {
	t.Helper()
	for _, path := range regexp.MustCompile(`(?:^|[\s=])((?:deploy|corefile-examples|docs|test|cmd)/[\w./-]*)`).FindAllStringSubmatch(command, -1) {
		if _, err := os.Stat(filepath.Join("..", path[1])); err != nil {
			t.Errorf("%s: there is no %s", at, path[1])
		}
	}
}
