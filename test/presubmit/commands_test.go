package presubmit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A text with a command line that goes on, so that what is formatted or joined into it is a part of the command.
var openCommand = regexp.MustCompile(`(kubectl [a-z]|mcsctl [a-z]+ |--zone )[^:;]*$`)

// TestCommands_X2: only internal/shell puts a value into a command line that people copy, so that no value is more than a word.
func TestCommands_X2(t *testing.T) {
	composed := 0
	for _, name := range tracked(t, "cmd/*.go", "controller/*.go", "internal/*.go", "plugin/*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root(t), name), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // removed in the work tree; or the compiler says it
		}
		found, made := loose(file)
		composed += made
		for at, text := range found {
			t.Errorf("%s:%d composes a command line: %s; want shell.Command", name, fset.Position(at).Line, text)
		}
	}
	if composed < 20 {
		t.Errorf("only %d command lines are composed by internal/shell", composed)
	}
}

func TestLooseCommands(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"formatted", `fmt.Sprintf("look: kubectl get pods -n %s", ns)`, 1},
		{"formatted, the value is elsewhere", `fmt.Sprintf("kubectl get pods; there are %d", n)`, 0},
		{"formatted before", `fmt.Sprintf("%s is a member; mcsctl status shows it", id)`, 0},
		{"joined", `_ = "mcsctl join " + id + " again"`, 1},
		{"joined at the end", `_ = "see: " + "kubectl apply -k deploy/crds" + flags`, 1},
		{"joined, and quoted", `_ = "look at its log: " + shell.Command("kubectl logs %s", pod)`, 0},
		{"as people are told", `_ = "mcsctl status lists the members"`, 0},
		{"a zone", `fmt.Errorf("look with --zone %s", zone)`, 1},
		{"by shell", `shell.Command("kubectl get pods -n %s", ns)`, 0},
		{"its arguments are looked at, too", `shell.Command("kubectl get pods -n %s", fmt.Sprintf("x; mcsctl join %s", id))`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+c.body+" }", parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := loose(file); len(got) != c.want {
				t.Errorf("found %v, want %d", got, c.want)
			}
		})
	}
}

// loose returns the texts of a file that a value is formatted or joined into as a part of a command line, and how many the
// package shell composes.
func loose(file *ast.File) (found map[token.Pos]string, composed int) {
	found, quoted := map[token.Pos]string{}, map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if format := formatOf(n); format != nil {
				quoted[format] = true
				composed++
			}
		case *ast.BasicLit:
			text, _ := strconv.Unquote(n.Value)
			if n.Kind == token.STRING && !quoted[n] && formatted(text) {
				found[n.Pos()] = text
			}
		case *ast.BinaryExpr:
			last := n.X
			if inner, ok := last.(*ast.BinaryExpr); ok {
				last = inner.Y
			}
			lit, ok := last.(*ast.BasicLit)
			if _, plain := n.Y.(*ast.BasicLit); !ok || plain || isCommand(n.Y) {
				return true
			}
			if text, _ := strconv.Unquote(lit.Value); openCommand.MatchString(text) {
				found[lit.Pos()] = text
			}
		}
		return true
	})
	return found, composed
}

// formatted reports whether a verb of a format is a part of a command line.
func formatted(text string) bool {
	for at := range len(text) {
		if text[at] == '%' && openCommand.MatchString(text[:at]) {
			return true
		}
	}
	return false
}

func isCommand(e ast.Node) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "shell" && (s.Sel.Name == "Command" || s.Sel.Name == "At")
}

// formatOf returns the format of a call of shell.Command or shell.At, nil if it is another call.
func formatOf(call *ast.CallExpr) ast.Expr {
	if !isCommand(call) {
		return nil
	}
	at := 0
	if reaches(call) {
		at = 1
	}
	if len(call.Args) <= at {
		return nil
	}
	return call.Args[at]
}

func reaches(call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && isCommand(call) && s.Sel.Name == "At"
}

// aimless is a command that acts on a cluster, in advice: kubectl's, and mcsctl's after a colon. Elsewhere a text speaks of mcsctl.
var aimless = regexp.MustCompile(`kubectl (apply|annotate|create|delete|describe|edit|exec|get|label|logs|patch|rollout|scale)\b|(^|: )mcsctl (check|dns|explain|export|import|join|leave|services|status|unexport)\b`)

// TestCommandsReach: each command that mcsctl advises has the flags by which it acts on the cluster that it is about, since shell.At
// composes it.
func TestCommandsReach(t *testing.T) {
	reached := 0
	for _, name := range tracked(t, "cmd/mcsctl/*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root(t), name), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // removed in the work tree; or the compiler says it
		}
		found, made := adrift(file)
		reached += made
		for at, text := range found {
			t.Errorf("%s:%d advises a command without the flags of its cluster: %s; want shell.At", name, fset.Position(at).Line, text)
		}
	}
	if reached < 20 {
		t.Errorf("only %d commands are composed by shell.At", reached)
	}
}

func TestAdriftCommands(t *testing.T) {
	for body, want := range map[string]int{
		`_ = "look at it: mcsctl status"`:                            1,
		`_ = "kubectl apply -k deploy/crds"`:                         1,
		`shell.Command("kubectl get pods -n %s%s", ns, flags)`:       1,
		`shell.At(flags, "kubectl get pods -n %s", ns)`:              0,
		`_ = "install it: " + shell.At(flags, "kubectl apply -k x")`: 0,
		`_ = "the block that mcsctl dns wrote"`:                      0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+body+" }", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := adrift(file); len(got) != want {
			t.Errorf("%s: found %v, want %d", body, got, want)
		}
	}
}

// adrift returns the texts of a file with commands that shell.At does not compose, and how many it composes.
func adrift(file *ast.File) (found map[token.Pos]string, made int) {
	found, reached := map[token.Pos]string{}, map[ast.Node]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if reaches(n) && len(n.Args) > 1 {
				reached[n.Args[1]] = true
				made++
			}
		case *ast.BasicLit:
			if text, _ := strconv.Unquote(n.Value); n.Kind == token.STRING && !reached[n] && aimless.MatchString(text) && !strings.Contains(text, "\n") {
				found[n.Pos()] = text
			}
		}
		return true
	})
	return found, made
}
