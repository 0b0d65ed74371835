package presubmit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The gates: who runs a target of the Makefile. A target that neither of the first two runs is run by hand.
const (
	ci      = "`.ci/run`"
	nightly = "nightly"
	byHand  = "by hand"
)

// TestGates: CONTRIBUTING.md says for every target of the Makefile which gate runs it, and it is so.
func TestGates(t *testing.T) {
	m := readMakefile(read(t, "Makefile"))
	if len(m.targets) < 20 || len(m.nightly) < 5 {
		t.Fatalf("only the targets %v, and nightly %v, are found in the Makefile", slices.Sorted(maps.Keys(m.targets)), m.nightly)
	}
	steps := ciSteps(read(t, ".ci/run"))
	if len(steps) < 5 {
		t.Fatalf("only the steps %v are found in .ci/run", steps)
	}
	for _, fault := range gateFaults(m, steps, read(t, "CONTRIBUTING.md")) {
		t.Error(fault)
	}
}

// A makefile is what its text says of targets.
type makefile struct {
	targets map[string]target
	nightly []string // the words of NIGHTLY
}

type target struct {
	runs   []string // the targets that it depends on, and those that its recipe makes
	recipe string
}

var (
	ruleLine    = regexp.MustCompile(`^([a-z0-9-]+):([^=#]*)`)
	makes       = regexp.MustCompile(`\bmake((?: +[a-z0-9-]+)+)$`)
	ciStep      = regexp.MustCompile(`(?m)^step \S+ make (.+)$`)
	nightlyLine = regexp.MustCompile(`(?m)^NIGHTLY :?= (.*)$`)
)

func readMakefile(text string) makefile {
	m := makefile{targets: map[string]target{}}
	if words := nightlyLine.FindStringSubmatch(text); words != nil {
		m.nightly = strings.Fields(words[1])
	}
	current := ""
	for _, line := range strings.Split(text, "\n") {
		if rule := ruleLine.FindStringSubmatch(line); rule != nil {
			current = rule[1]
			m.targets[current] = target{runs: strings.Fields(rule[2])}
			continue
		}
		if current == "" || !strings.HasPrefix(line, "\t") {
			current = ""
			continue
		}
		now := m.targets[current]
		now.recipe += line + "\n"
		if made := makes.FindStringSubmatch(line); made != nil {
			now.runs = append(now.runs, strings.Fields(made[1])...)
		}
		m.targets[current] = now
	}
	return m
}

func ciSteps(text string) (steps []string) {
	for _, step := range ciStep.FindAllStringSubmatch(text, -1) {
		steps = append(steps, strings.Fields(step[1])...)
	}
	return steps
}

// reached returns the targets that are made when the given ones are.
func (m makefile) reached(targets []string) map[string]bool {
	all := map[string]bool{}
	for len(targets) > 0 {
		name := targets[0]
		targets = targets[1:]
		if !all[name] {
			all[name] = true
			targets = append(targets, m.targets[name].runs...)
		}
	}
	return all
}

// gateRow is a row of the table in CONTRIBUTING.md: targets, gate, why.
var gateRow = regexp.MustCompile("(?m)^\\| ((?:`make [a-z0-9-]+`(?:, )?)+) \\| ([^|]+) \\| ([^|]*) \\|$")

// gateFaults compares what runs a target with what the page says.
func gateFaults(m makefile, steps []string, page string) (faults []string) {
	inCI, inNightly := m.reached(steps), m.reached(m.nightly)
	for _, name := range append(slices.Clone(steps), m.nightly...) {
		if _, ok := m.targets[name]; !ok {
			faults = append(faults, fmt.Sprintf("a gate makes %s, which is no target", name))
		}
	}
	said := map[string]bool{}
	for _, row := range gateRow.FindAllStringSubmatch(page, -1) {
		for _, word := range strings.Split(row[1], ", ") {
			name := strings.TrimPrefix(strings.Trim(word, "`"), "make ")
			if said[name] {
				faults = append(faults, fmt.Sprintf("CONTRIBUTING.md says twice what runs %s", name))
			}
			said[name] = true
			actual := byHand
			switch {
			case inCI[name]:
				actual = ci
			case inNightly[name]:
				actual = nightly
			}
			if _, ok := m.targets[name]; !ok {
				faults = append(faults, fmt.Sprintf("CONTRIBUTING.md speaks of %s, which is no target", name))
			} else if row[2] != actual {
				faults = append(faults, fmt.Sprintf("CONTRIBUTING.md says that %s is run %s, but it is run %s", name, row[2], actual))
			}
			if row[3] == "" {
				faults = append(faults, fmt.Sprintf("CONTRIBUTING.md does not say why %s is run %s", name, row[2]))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		if !said[name] {
			faults = append(faults, fmt.Sprintf("CONTRIBUTING.md does not say what runs %s", name))
		}
	}
	return faults
}

func TestGatesFindsFaults(t *testing.T) {
	const makefile = "NIGHTLY := slow\nX := make\nfast: dep ## Fast\n\t@tally make inner\ndep: ## Dep\n\ttrue\ninner: ; true\nslow: ## Slow\n\ttrue\nhand: ## Hand\n"
	const script, page = "step fast make fast\n", "| `make fast`, `make dep` | `.ci/run` | quick |\n| `make inner` | `.ci/run` | x |\n" +
		"| `make slow` | nightly | hours |\n| `make hand` | by hand | needs a person |\n"
	for name, c := range map[string]struct{ file, old, new, want string }{
		"nothing wrong":       {},
		"a new target":        {"Makefile", "hand:", "new:\nhand:", "CONTRIBUTING.md does not say what runs new"},
		"a target that left":  {"Makefile", "hand: ## Hand\n", "", "CONTRIBUTING.md speaks of hand, which is no target"},
		"not nightly":         {"Makefile", "NIGHTLY := slow", "NIGHTLY := hand", "CONTRIBUTING.md says that slow is run nightly, but it is run by hand; CONTRIBUTING.md says that hand is run by hand, but it is run nightly"},
		"not nightly, no row": {"Makefile", "NIGHTLY := slow", "NIGHTLY := slow other", "a gate makes other, which is no target"},
		"no longer made":      {"Makefile", "@tally make inner", "true", "CONTRIBUTING.md says that inner is run `.ci/run`, but it is run by hand"},
		"no longer needed":    {"Makefile", "fast: dep", "fast:", "CONTRIBUTING.md says that dep is run `.ci/run`, but it is run by hand"},
		"not in CI":           {".ci/run", "make fast", "make slow", "CONTRIBUTING.md says that fast is run `.ci/run`, but it is run by hand; CONTRIBUTING.md says that dep is run `.ci/run`, but it is run by hand; CONTRIBUTING.md says that inner is run `.ci/run`, but it is run by hand; CONTRIBUTING.md says that slow is run nightly, but it is run `.ci/run`"},
		"no reason":           {"CONTRIBUTING.md", "| x |", "|  |", "CONTRIBUTING.md does not say why inner is run `.ci/run`"},
		"said twice":          {"CONTRIBUTING.md", "`make inner`", "`make inner`, `make dep`", "CONTRIBUTING.md says twice what runs dep"},
		"said otherwise":      {"CONTRIBUTING.md", "by hand", "nightly", "CONTRIBUTING.md says that hand is run nightly, but it is run by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := func(file, text string) string {
				if file != c.file {
					return text
				}
				return strings.Replace(text, c.old, c.new, 1)
			}
			faults := gateFaults(readMakefile(changed("Makefile", makefile)), ciSteps(changed(".ci/run", script)), changed("CONTRIBUTING.md", page))
			if got := strings.Join(faults, "; "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
