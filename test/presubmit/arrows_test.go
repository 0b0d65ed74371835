package presubmit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mayImport is the layout: which packages of this module each package may import, tests left out. A name that ends in a slash
// stands for everything below it, and has effect for packages that are not named themselves.
var mayImport = map[string][]string{
	"internal/excerpt":            {},
	"internal/follow":             {"internal/excerpt", "internal/kubeclient"},
	"internal/ranges":             {},
	"internal/kubeclient":         {"internal/excerpt"},
	"internal/kubeclient/forward": {"internal/excerpt", "internal/kubeclient"},
	"internal/mcsapi":             {"internal/kubeclient", "internal/shell"},
	"internal/shell":              {},
	"plugin/view":                 {},
	"plugin/decode":               {"plugin/view", "internal/"},
	"plugin":                      {"plugin/decode", "plugin/view", "internal/"},
	"controller/keep":             {"internal/"},
	"controller/accept":           {"controller/keep", "internal/"},
	"controller/merge":            {"controller/accept", "controller/keep", "internal/"},
	"controller/plan":             {"controller/accept", "controller/keep", "controller/merge", "internal/"},
	"controller/resolve":          {"controller/merge", "internal/mcsapi"},
	"controller/rules":            {"controller/keep", "internal/"},
	"controller/liveness":         {},
	"controller/mirror":           {"internal/"},
	"controller/registration":     {"controller/mirror", "internal/"},
	"controller/members":          {"controller/keep", "controller/liveness", "controller/mirror", "controller/registration", "internal/"},
	"controller/exporting":        {"controller/keep", "controller/members", "controller/rules", "internal/"},
	"controller": {"controller/keep", "controller/liveness", "controller/members", "controller/merge", "controller/plan", "controller/registration",
		"controller/resolve", "internal/"},

	"cmd/coredns":        {"plugin"},
	"cmd/mcs-controller": {"controller", "controller/exporting", "controller/liveness", "controller/members", "controller/registration", "controller/rules", "internal/"},

	// From the bottom to the top.
	"cmd/mcsctl/corefile":   {},
	"cmd/mcsctl/screen":     {"internal/excerpt"},
	"cmd/mcsctl/members":    {"controller/registration", "internal/"},
	"cmd/mcsctl/nameserver": {"cmd/mcsctl/corefile", "internal/"},
	"cmd/mcsctl/finding":    {"cmd/mcsctl/corefile", "cmd/mcsctl/members", "cmd/mcsctl/nameserver", "cmd/mcsctl/screen", "internal/"},
	"cmd/mcsctl/objects":    {"cmd/mcsctl/members", "internal/"},
	"cmd/mcsctl/join":       {"cmd/mcsctl/finding", "cmd/mcsctl/members", "controller/registration", "deploy", "internal/"},
	"cmd/mcsctl/survey":     {"cmd/mcsctl/finding", "cmd/mcsctl/members", "cmd/mcsctl/nameserver", "cmd/mcsctl/screen", "internal/"},
	"cmd/mcsctl/explain": {"cmd/mcsctl/corefile", "cmd/mcsctl/finding", "cmd/mcsctl/members", "cmd/mcsctl/nameserver", "cmd/mcsctl/screen",
		"controller/keep", "controller/registration", "controller/merge", "controller/plan", "controller/rules", "internal/"},
	"cmd/mcsctl/stub": {"cmd/mcsctl/corefile", "cmd/mcsctl/finding", "cmd/mcsctl/members", "cmd/mcsctl/nameserver", "internal/"},
	"cmd/mcsctl/check": {"cmd/mcsctl/corefile", "cmd/mcsctl/finding", "cmd/mcsctl/join", "cmd/mcsctl/members", "cmd/mcsctl/nameserver",
		"controller/registration", "internal/"},
	"cmd/mcsctl/command": {"cmd/mcsctl/check", "cmd/mcsctl/explain", "cmd/mcsctl/finding", "cmd/mcsctl/join", "cmd/mcsctl/members", "cmd/mcsctl/objects",
		"cmd/mcsctl/screen", "cmd/mcsctl/stub", "cmd/mcsctl/survey", "controller/registration", "internal/shell"},
	"cmd/mcsctl": {"cmd/mcsctl/command"},

	"deploy":               {}, // the manifests, embedded
	"deploy/image/netbind": {},
	"docs":                 {},

	// Tests see both programs from outside, as processes. Only test/need is for everybody, and needs nobody.
	"test/":     {"test/", "controller/", "plugin/", "internal/"},
	"test/need": {},
}

// TestArrows holds the import arrows of the layout (docs/design/design.md): each package of the module is known, and imports only what
// it may.
func TestArrows(t *testing.T) {
	all := packages(t)
	if len(all) < 40 {
		t.Fatalf("only %d packages are found", len(all))
	}
	for _, fault := range arrows(all, mayImport) {
		t.Error(fault)
	}
}

// arrows returns what is wrong with imports, by package and in order.
func arrows(imports, mayImport map[string][]string) (faults []string) {
	used := map[string]bool{}
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		rule, ok := ruleFor(pkg, mayImport)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s is not known: say in mayImport what it may import", pkg))
			continue
		}
		used[rule] = true
		for _, imported := range imports[pkg] {
			own, ours := strings.CutPrefix(imported, module+"/")
			if ours && !allowed(own, mayImport[rule]) {
				faults = append(faults, fmt.Sprintf("%s imports %s; it may import only %v", pkg, own, mayImport[rule]))
			}
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(mayImport)) {
		if !used[rule] {
			faults = append(faults, fmt.Sprintf("mayImport has %s, which no package is under", rule))
		}
	}
	return faults
}

// ruleFor returns the key of the rule for a package: its own name, or the longest folder that it is in.
func ruleFor(pkg string, mayImport map[string][]string) (string, bool) {
	if _, ok := mayImport[pkg]; ok {
		return pkg, true
	}
	longest := ""
	for rule := range mayImport {
		if strings.HasSuffix(rule, "/") && strings.HasPrefix(pkg, rule) && len(rule) > len(longest) {
			longest = rule
		}
	}
	return longest, longest != ""
}

func allowed(pkg string, rules []string) bool {
	for _, rule := range rules {
		if pkg == rule || strings.HasSuffix(rule, "/") && strings.HasPrefix(pkg+"/", rule) {
			return true
		}
	}
	return false
}

func TestArrowsFindsFaults(t *testing.T) {
	may := map[string][]string{"a": {}, "b": {"a"}, "c": {"a/"}, "x/": {"b"}, "x/y": {"x/"}}
	whole := map[string][]string{"a": {"fmt", "example.com/a"}, "b": {module + "/a"}, "c": {module + "/a"}, "x/z": {module + "/b"},
		"x/y": {module + "/x/z"}}
	for name, c := range map[string]struct {
		pkg     string
		imports []string
		want    string
	}{
		"nothing wrong":                    {},
		"an unknown package":               {"d", nil, "d is not known: say in mayImport what it may import"},
		"an unknown package below another": {"a/b", nil, "a/b is not known: say in mayImport what it may import"},
		"a package under a rule":           {"x/w", []string{module + "/b"}, ""},
		"an arrow back":                    {"a", []string{module + "/b"}, "a imports b; it may import only []"},
		"an arrow that a folder lacks":     {"x/w", []string{module + "/a"}, "x/w imports a; it may import only [b]"},
		"a package with its own rule":      {"x/y", []string{module + "/b"}, "x/y imports b; it may import only [x/]"},
		"a folder's package and below it":  {"c", []string{module + "/a", module + "/a/b"}, ""},
		"a name that begins alike":         {"c", []string{module + "/ab"}, "c imports ab; it may import only [a/]"},
	} {
		t.Run(name, func(t *testing.T) {
			imports := maps.Clone(whole)
			if c.pkg != "" {
				imports[c.pkg] = c.imports
			}
			if got := strings.Join(arrows(imports, may), "\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	delete(whole, "b")
	if got, want := strings.Join(arrows(whole, may), "\n"), "mayImport has b, which no package is under"; got != want {
		t.Errorf("without b: got %q, want %q", got, want)
	}
}
