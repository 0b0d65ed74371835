package main

import (
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sample = `package p

import "net/netip"

const limit = 3

var (
	a, b   = 1, 2
	nobody bool
)

type set[T any] struct{ items []T }

func (s *set[T]) add(item T, more ...T) *set[T] {
	s.items = append(s.items, item)
	return s
}

func (set[T]) size() int { return 1 }

func refused(addr netip.Addr, ranges []netip.Prefix) (why string, ok bool) {
	if x := len(ranges); x > limit &&
		!(addr.IsLoopback() || addr.IsMulticast()) {
		note(why)
	}
	switch {
	case addr.IsUnspecified():
		return "unspecified", false
	case len(ranges) > 0 && !ranges[0].Contains(addr):
		return "elsewhere", false
	}
	return "", true
}

func note(string) {}

func twice() {
	note("once")
	note("twice")
	_ = struct{ deep options }{deep: options{Name: "a", Size: 2}}
}

type options struct {
	Name string
	Size int
	Cold bool
}
`

// TestMutations: each mutation does what it says to the one place that it names, however that is written, and says what it
// does not find.
func TestMutations(t *testing.T) {
	for name, tc := range map[string]struct {
		at       string
		mutation mutation
		was, is  string // lines as gofmt has them; the rest stays
		err      string
	}{
		"a function returns at once":                      {"refused", returns(`""`, "true"), "(why string, ok bool) {\n", "(why string, ok bool) {\n\treturn \"\", true\n", ""},
		"a method of a generic type returns its receiver": {"set.add", returns("$0"), "*set[T] {\n", "*set[T] {\n\treturn s\n", ""},
		"a function returns a parameter":                  {"refused", returns("$1.String()", "$2 == nil"), "(why string, ok bool) {\n", "(why string, ok bool) {\n\treturn addr.String(), ranges == nil\n", ""},
		"a function returns nothing at once":              {"twice", returns(), "func twice() {\n", "func twice() {\n\treturn\n", ""},
		"a function on one line":                          {"set.size", returns("2"), "size() int { return 1 }", "size() int { return 2; return 1 }", ""},
		"the wrong number of results":                     {"refused", returns("true"), "", "", "returns 2 results, not 1"},
		"a receiver without a name":                       {"set.size", returns("$0"), "", "", "no receiver or parameter $0"},
		"statements and a declaration":                    {"note", begins("seen++", "var seen int"), "func note(string) {}", "func note(string) { seen++ }", ""},
		"a call is left out":                              {"refused", skips("note"), "\t\tnote(why)\n", "\t\tif false {\n\t\t\tnote(why)\n\t\t}\n", ""},
		"a call that is there twice":                      {"twice", skips("note"), "", "", "has 2 statements that call note"},
		"a call that is not there":                        {"refused", skips("add"), "", "", "has 0 statements that call add"},
		"an operand is never true":                        {"refused", never("IsMulticast"), "|| addr.IsMulticast()) {", "|| (false && (addr.IsMulticast()))) {", ""},
		"an operand is always true":                       {"refused", always("limit"), "x > limit &&", "(true || (x > limit)) &&", ""},
		"the case of a switch":                            {"refused", never("IsUnspecified"), "case addr.IsUnspecified():", "case (false && (addr.IsUnspecified())):", ""},
		"all mentions of a name in a condition":           {"refused", never("ranges"), "case len(ranges) > 0 && !ranges[0].Contains(addr):", "case (false && (len(ranges) > 0 && !ranges[0].Contains(addr))):", ""},
		"a name in several conditions":                    {"refused", never("addr"), "", "", "has 3 conditions that mention addr"},
		"a name in none":                                  {"refused", never("ok"), "", "", "has 0 conditions that mention ok"},
		"a constant":                                      {"limit", is("4"), "const limit = 3", "const limit = 4", ""},
		"a variable":                                      {"b", is("5"), "= 1, 2", "= 1, 5", ""},
		"a variable without a value":                      {"nobody", is("true"), "", "", "declared 0 times"},
		"a function that is to be a constant":             {"note", is("4"), "", "", "is no constant or variable"},
		"a constant that is to be a function":             {"limit", returns("4"), "", "", "is no function"},
		"a field that is set":                             {"twice", sets("options", "Size", "9"), "Size: 2}", "Size: 9}", ""},
		"a field that is not":                             {"twice", sets("options", "Cold", "true"), "options{Name", "options{Cold: true, Name", ""},
		"a literal that is not there":                     {"twice", sets("set", "items", "nil"), "", "", "has 0 literals of set"},
		"what does not parse":                             {"limit", is("4 +"), "", "", "does not parse"},
		"the same":                                        {"limit", is("3"), "", "", "is the same"},
		"what is not declared":                            {"set.remove", returns(), "", "", "declared 0 times"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "p/p.go", sample)
			write(t, root, "p/p_test.go", "package p\n\nconst limit = 4\n")
			got, err := mutated(place{"p", tc.at}, tc.mutation, root)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(sample, tc.was, tc.is, 1)
			if want == sample {
				t.Fatalf("the sample has no %q", tc.was)
			}
			if name == "statements and a declaration" {
				want += "\nvar seen int\n"
			}
			if formatted(t, got) != formatted(t, []byte(want)) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// TestPlaceIsOne: a name that two files of a package declare for different systems is no place.
func TestPlaceIsOne(t *testing.T) {
	root := t.TempDir()
	write(t, root, "p/one.go", "package p\n\nfunc f() bool { return true }\n")
	if _, err := (place{"p", "f"}).find(root); err != nil {
		t.Fatal(err)
	}
	write(t, root, "p/two.go", "package p\n\nfunc f() bool { return false }\n")
	if _, err := (place{"p", "f"}).find(root); err == nil || !strings.Contains(err.Error(), "declared 2 times") {
		t.Errorf("got %v", err)
	}
}

func mutated(p place, m mutation, root string) ([]byte, error) {
	d, err := p.find(root)
	if err != nil {
		return nil, err
	}
	return d.mutate(m)
}

// formatted is Go source as gofmt has it, each statement on a line of its own.
func formatted(t *testing.T, source []byte) string {
	t.Helper()
	out, err := format.Source(source)
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(out), ";", "\n")), " ")
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
