package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/docs"
)

// statuses are the kinds of objects that have conditions.
func statuses() []status {
	return []status{
		{"Of a ServiceExport", exportConditions, (&Verdict{}).reports()},
		{"Of a ServiceImport", importConditions, []report{{typ: string(mcs.ServiceImportConditionReady)}}},
	}
}

type status struct {
	section string // of the page
	types   []string
	always  []report // those of an object of which there is nothing to report
}

// stays reports whether a condition is there whatever its status.
func (s *status) stays(typ string) bool {
	return slices.ContainsFunc(s.always, func(r report) bool { return r.typ == typ })
}

// TestConditionsOfTheReference_E3_I5: docs/reference.md has every condition that is written on either kind of object, every reason,
// and no others.
func TestConditionsOfTheReference_E3_I5(t *testing.T) {
	reasons := map[string]bool{}
	for _, kind := range statuses() {
		rows, err := docs.Rows("reference.md", kind.section)
		if err != nil {
			t.Fatal(err)
		}
		documented := map[string]string{}
		for _, row := range rows {
			documented[row.Code(0)[0]] += row[1]
			for _, reason := range row.Code(2) {
				reasons[reason] = true
			}
		}
		equal(t, "conditions "+kind.section, slices.Collect(maps.Keys(documented)), slices.Clone(kind.types))
		for typ, all := range documented {
			if kind.stays(typ) != strings.Contains(all, "False") {
				t.Errorf("%s: docs/reference.md has condition %s with the statuses %s; it stays: %t", kind.section, typ, all, kind.stays(typ))
			}
		}
	}
	delete(reasons, ConditionConflict) // "the reasons of Conflict"
	equal(t, "reasons", slices.Collect(maps.Keys(reasons)),
		append(constantsOf(t, "Reason", "ServiceExportConditionReason", "ServiceImportConditionReason"), ofTheAPI(t)...))
}

// TestEventsOfTheReference: docs/reference.md has every reason that only Events have, and no other: those of this package, and one
// for each condition that can be gone.
func TestEventsOfTheReference(t *testing.T) {
	known := constantsOf(t, "EventReason")
	for _, kind := range statuses() {
		for _, typ := range kind.types {
			if !kind.stays(typ) {
				known = append(known, typ+resolved)
			}
		}
	}
	rows, err := docs.Rows("reference.md", "Events")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range rows {
		documented = append(documented, row.Code(0)...)
	}
	equal(t, "Events", documented, known)
}

// TestAnnounced_X6: each reason that only Events have is that of an Event which says so, and so is not counted among the others.
func TestAnnounced_X6(t *testing.T) {
	var announced []string
	for _, file := range sources(t, ".") {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "announce" {
					announced = append(announced, call.Args[0].(*ast.Ident).Name)
				}
			}
			return true
		})
	}
	equal(t, "announced", announced, constantsOf(t, "EventReason"))
	if e := announce(AddressLost, "gone"); len(e) != 1 || !e[0].Announces {
		t.Errorf("%+v", e)
	}
}

// TestReasonsAreConstants: no reason is written but as a constant, where the tests of this file would not find it.
func TestReasonsAreConstants(t *testing.T) {
	name := regexp.MustCompile(`^"[A-Z][a-z]+([A-Z][a-z]+)*"$`)
	for _, file := range sources(t, ".", "../merge") {
		ast.Inspect(file, func(n ast.Node) bool {
			if decl, ok := n.(*ast.GenDecl); ok && decl.Tok == token.CONST {
				return false
			}
			if lit, ok := n.(*ast.BasicLit); ok && name.MatchString(lit.Value) {
				t.Errorf("%s is not a constant; if it is a reason, declare it in reasons.go", lit.Value)
			}
			return true
		})
	}
}

// constantsOf returns the values of the constants of some types in the packages that make reasons.
func constantsOf(t *testing.T, types ...string) (values []string) {
	t.Helper()
	for _, file := range sources(t, ".", "..", "../merge", "../resolve") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			name := ""
			switch typ := spec.Type.(type) {
			case *ast.Ident:
				name = typ.Name
			case *ast.SelectorExpr:
				name = typ.Sel.Name
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && slices.Contains(types, name) {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
	}
	return values
}

// ofTheAPI returns the reasons of the API module that are used. Its constants are named after their values.
func ofTheAPI(t *testing.T) (values []string) {
	t.Helper()
	constant := regexp.MustCompile(`^Service(?:Export|Import)Reason(\w+)$`)
	for _, file := range sources(t, ".", "..", "../merge", "../resolve") {
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if m := constant.FindStringSubmatch(sel.Sel.Name); m != nil {
					values = append(values, m[1])
				}
			}
			return true
		})
	}
	return values
}

// sources are the files of some folders, without tests.
func sources(t *testing.T, dirs ...string) (files []*ast.File) {
	t.Helper()
	for _, dir := range dirs {
		names, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(names) == 0 {
			t.Fatalf("no files in %s: %v", dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// equal compares what the page has with what the code has, whatever the order and however often.
func equal(t *testing.T, what string, page, code []string) {
	t.Helper()
	slices.Sort(page)
	slices.Sort(code)
	page, code = slices.Compact(page), slices.Compact(code)
	if len(code) == 0 || !slices.Equal(page, code) {
		t.Errorf("%s: docs/reference.md has %q, want %q", what, page, code)
	}
}
