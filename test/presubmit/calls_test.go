package presubmit

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCalls: no test sleeps, and none is skipped but by package need, which counts it.
func TestCalls(t *testing.T) {
	tests := 0
	for _, name := range tracked(t, "*.go") {
		source, err := os.ReadFile(filepath.Join(root(t), name))
		if os.IsNotExist(err) {
			continue // removed in the work tree
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests++
		}
		faults, err := calls(name, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
	if tests < 100 {
		t.Errorf("only %d files with tests were read", tests)
	}
}

// calls returns the sleeps and the skips in a file, in order.
func calls(name string, source []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	v := &visitor{test: strings.HasSuffix(name, "_test.go"), needed: filepath.Dir(name) == "test/need", timeouts: map[ast.Node]bool{}}
	ast.Walk(v, file)
	var faults []string
	for _, f := range v.faults {
		at := files.Position(f.pos)
		faults = append(faults, fmt.Sprintf("%s:%d %s", name, at.Line, f.what))
	}
	return faults, nil
}

const (
	sleeps    = "sleeps; wait for a condition, or poll with a ticker"
	skips     = "skips a test; declare what it needs in test/need"
	shortened = "leaves something out under -short; use -skip in one target of the Makefile and -run in another"
)

type fault struct {
	pos  token.Pos
	what string
}

// A visitor collects faults. In tests it refuses to wait for nothing but time: time.Sleep, and a receive from time.After,
// time.Tick or a new timer, unless it is one case of several of a select, which is a time-out. In synctest.Test time is the
// test's own, and costs nothing.
type visitor struct {
	test, needed bool
	timeouts     map[ast.Node]bool // receives that are one case of a select
	faults       []fault
}

func (v *visitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.SelectStmt:
		v.selects(n)
	case *ast.UnaryExpr:
		if v.test && n.Op == token.ARROW && isTimer(n.X) && !v.timeouts[n] {
			v.faults = append(v.faults, fault{n.Pos(), sleeps})
		}
	case *ast.CallExpr:
		if called(n, "synctest", "Test") {
			v.bubble(n)
			return nil
		}
		v.call(n)
	}
	return v
}

// selects notes the time-outs of a select that waits for something else, too.
func (v *visitor) selects(n *ast.SelectStmt) {
	var timers []ast.Node
	for _, clause := range n.Body.List {
		if r, ok := received(clause.(*ast.CommClause).Comm).(*ast.UnaryExpr); ok && isTimer(r.X) {
			timers = append(timers, r)
		}
	}
	if len(timers) < len(n.Body.List) {
		for _, timer := range timers {
			v.timeouts[timer] = true
		}
	}
}

// bubble visits the code that runs on a clock of its own; it is no test as far as sleeping is concerned.
func (v *visitor) bubble(call *ast.CallExpr) {
	inside := &visitor{needed: v.needed, timeouts: v.timeouts}
	for _, arg := range call.Args {
		ast.Walk(inside, arg)
	}
	v.faults = append(v.faults, inside.faults...)
}

func (v *visitor) call(n *ast.CallExpr) {
	selector, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	switch {
	case v.test && called(n, "time", "Sleep"):
		v.faults = append(v.faults, fault{n.Pos(), sleeps})
	case called(n, "testing", "Short"):
		v.faults = append(v.faults, fault{n.Pos(), shortened})
	case !v.needed && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, selector.Sel.Name):
		v.faults = append(v.faults, fault{n.Pos(), skips})
	}
}

// received returns what a case of a select receives from, with the arrow, if it does.
func received(comm ast.Stmt) ast.Expr {
	switch s := comm.(type) {
	case *ast.ExprStmt:
		return ast.Unparen(s.X)
	case *ast.AssignStmt:
		return ast.Unparen(s.Rhs[0])
	}
	return nil
}

// isTimer reports whether an expression is a channel that delivers nothing but the time.
func isTimer(x ast.Expr) bool {
	x = ast.Unparen(x)
	if field, ok := x.(*ast.SelectorExpr); ok && field.Sel.Name == "C" {
		call, ok := ast.Unparen(field.X).(*ast.CallExpr)
		return ok && (called(call, "time", "NewTimer") || called(call, "time", "NewTicker"))
	}
	call, ok := x.(*ast.CallExpr)
	return ok && (called(call, "time", "After") || called(call, "time", "Tick"))
}

func called(call *ast.CallExpr, pkg, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func TestCallsFindsFaults(t *testing.T) {
	const timeout = "select { case <-done: case <-time.After(d): t.Fatal() }"
	for name, c := range map[string]struct {
		file, body string
		want       []string
	}{
		"a sleep":                             {"x/a_test.go", "time.Sleep(d)", []string{sleeps}},
		"a sleep outside of tests":            {"x/a.go", "time.Sleep(d)", nil},
		"a bare receive":                      {"x/a_test.go", "<-time.After(d)", []string{sleeps}},
		"a bare receive outside of tests":     {"x/a.go", "<-time.After(d)", nil},
		"a bare receive in a loop":            {"x/a_test.go", "for !ok() { <-time.After(d) }", []string{sleeps}},
		"a bare receive after each round":     {"x/a_test.go", "for ; !ok(); <-time.After(d) { }", []string{sleeps}},
		"a bare receive of the time":          {"x/a_test.go", "now := <-(time.After(d))", []string{sleeps}},
		"a tick":                              {"x/a_test.go", "<-time.Tick(d)", []string{sleeps}},
		"a timer":                             {"x/a_test.go", "<-time.NewTimer(d).C", []string{sleeps}},
		"a ticker":                            {"x/a_test.go", "<-tick.C", nil},
		"a select of one case":                {"x/a_test.go", "select { case <-time.After(d): }", []string{sleeps}},
		"a time-out":                          {"x/a_test.go", timeout, nil},
		"a time-out with the time":            {"x/a_test.go", "select { case <-done: case now := <-time.After(d): t.Fatal(now) }", nil},
		"a time-out that sleeps":              {"x/a_test.go", "select { case <-done: case <-time.After(d): <-time.After(d) }", []string{sleeps}},
		"a select of two timers":              {"x/a_test.go", "select { case <-time.After(d): case <-time.After(e): }", []string{sleeps, sleeps}},
		"a poll":                              {"x/a_test.go", "select { default: <-time.After(d) }", []string{sleeps}},
		"a goroutine":                         {"x/a_test.go", "go func() { <-time.After(d); close(c) }()", []string{sleeps}},
		"a clock of its own":                  {"x/a_test.go", "synctest.Test(t, func(t *testing.T) { <-time.After(d); time.Sleep(d) })", nil},
		"a time-out on a clock of its own":    {"x/a_test.go", "synctest.Test(t, func(t *testing.T) { select { case <-c: case <-time.After(d): } })", nil},
		"outside of that clock":               {"x/a_test.go", "synctest.Test(t, func(t *testing.T) { }); time.Sleep(d)", []string{sleeps}},
		"a skip":                              {"x/a_test.go", "t.Skip(err)", []string{skips}},
		"a skip for a reason":                 {"x/a_test.go", `b.Skipf("%d", 1)`, []string{skips}},
		"a skip in code that tests share":     {"test/x/fortest.go", "t.SkipNow()", []string{skips}},
		"a skip of package need":              {"test/need/need.go", "t.Skip(reason)", nil},
		"a skip below package need":           {"test/need/tally/main_test.go", "t.Skip(reason)", []string{skips}},
		"a skip on a clock of its own":        {"x/a_test.go", "synctest.Test(t, func(t *testing.T) { t.Skip() })", []string{skips}},
		"a need":                              {"x/a_test.go", "need.Root.OrSkip(t)", nil},
		"a short form":                        {"x/a_test.go", "if testing.Short() { return }", []string{shortened}},
		"a short form, which is also skipped": {"x/a_test.go", "if testing.Short() { t.Skip() }", []string{shortened, skips}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := calls(c.file, []byte("package x\nfunc f() { "+c.body+" }\n"))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, what := range c.want {
				want = append(want, c.file+":2 "+what)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
