package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// place is a declaration of a package: a function, a method as "type.method", or a constant or variable of the package.
// The file it stands in and the way it is written don't matter, so that a guard outlives a redesign.
type place struct{ pkg, name string }

func (p place) String() string { return p.pkg + "." + p.name }

// mutation is how a guard is taken out of the place where it stands.
type mutation func(*declaration) ([]edit, error)

// declaration is a place as it was found.
type declaration struct {
	place
	file   string // its path
	source []byte
	fset   *token.FileSet
	fn     *ast.FuncDecl // nil for a constant or variable
	value  ast.Expr      // of a constant or variable
}

// edit puts text in the place of the source from one offset to another.
type edit struct {
	from, to int
	text     string
}

// returns has a function return results at once. "$0" stands for its receiver, "$1" for its first parameter, and so on. What
// stood in the function stays below, unreachable, so that nothing it uses is unused.
func returns(results ...string) mutation {
	return func(d *declaration) ([]edit, error) {
		if err := d.isFunction(); err != nil {
			return nil, err
		}
		if want := d.fn.Type.Results.NumFields(); want != len(results) {
			return nil, fmt.Errorf("returns %d results, not %d", want, len(results))
		}
		var given []string
		for _, r := range results {
			text, err := d.expand(r)
			if err != nil {
				return nil, err
			}
			given = append(given, text)
		}
		return d.begin("return " + strings.Join(given, ", ")), nil
	}
}

// begins puts statements at the beginning of a function, and declarations, which they need, at the end of its file.
func begins(statements, declarations string) mutation {
	return func(d *declaration) ([]edit, error) {
		if err := d.isFunction(); err != nil {
			return nil, err
		}
		end := len(d.source)
		return append(d.begin(statements), edit{end, end, "\n" + declarations + "\n"}), nil
	}
}

// skips takes the one statement out of a function that calls what is named, whatever it is called on.
func skips(callee string) mutation {
	return func(d *declaration) ([]edit, error) {
		if err := d.isFunction(); err != nil {
			return nil, err
		}
		var found []*ast.ExprStmt
		ast.Inspect(d.fn.Body, func(n ast.Node) bool {
			if s, ok := n.(*ast.ExprStmt); ok {
				if call, ok := s.X.(*ast.CallExpr); ok && lastName(call.Fun) == callee {
					found = append(found, s)
				}
			}
			return true
		})
		if len(found) != 1 {
			return nil, fmt.Errorf("has %d statements that call %s, want one", len(found), callee)
		}
		from, to := d.offset(found[0].Pos()), d.offset(found[0].End())
		return []edit{{from, from, "if false { "}, {to, to, " }"}}, nil
	}
}

// never and always make the condition of a function that mentions a name false or true: the smallest one that holds every
// mention, which is an operand of !, && and || or the whole of an if, for or case.
func never(name string) mutation  { return condition(name, "false &&") }
func always(name string) mutation { return condition(name, "true ||") }

func condition(name, prefix string) mutation {
	return func(d *declaration) ([]edit, error) {
		if err := d.isFunction(); err != nil {
			return nil, err
		}
		var found []ast.Expr
		for _, c := range conditions(d.fn.Body) {
			if mentions(c, name) {
				found = append(found, smallest(c, name))
			}
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("has %d conditions that mention %s, want one", len(found), name)
		}
		from, to := d.offset(found[0].Pos()), d.offset(found[0].End())
		return []edit{{from, from, "(" + prefix + " ("}, {to, to, "))"}}, nil
	}
}

// is gives a constant or variable another value.
func is(value string) mutation {
	return func(d *declaration) ([]edit, error) {
		if d.value == nil {
			return nil, errors.New("is no constant or variable with a value")
		}
		return []edit{{d.offset(d.value.Pos()), d.offset(d.value.End()), value}}, nil
	}
}

// sets gives a field a value in the one literal of a type, by its last name, that stands in a function.
func sets(typeName, field, value string) mutation {
	return func(d *declaration) ([]edit, error) {
		if err := d.isFunction(); err != nil {
			return nil, err
		}
		var found []*ast.CompositeLit
		ast.Inspect(d.fn.Body, func(n ast.Node) bool {
			if l, ok := n.(*ast.CompositeLit); ok && lastName(l.Type) == typeName {
				found = append(found, l)
			}
			return true
		})
		if len(found) != 1 {
			return nil, fmt.Errorf("has %d literals of %s, want one", len(found), typeName)
		}
		for _, e := range found[0].Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && lastName(kv.Key) == field {
				return []edit{{d.offset(kv.Value.Pos()), d.offset(kv.Value.End()), value}}, nil
			}
		}
		after := d.offset(found[0].Lbrace) + 1
		return []edit{{after, after, field + ": " + value + ", "}}, nil
	}
}

// find returns the one declaration of a place, in the module at root.
func (p place) find(root string) (*declaration, error) {
	dir := filepath.Join(root, filepath.FromSlash(p.pkg))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var found []*declaration
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a file that an editor keeps for a moment
		}
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, path, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range p.declarations(syntax) {
			d.place, d.file, d.source, d.fset = p, path, source, fset
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s is declared %d times, want once", p, len(found))
	}
	return found[0], nil
}

// declarations are those of the place in a file.
func (p place) declarations(file *ast.File) (found []*declaration) {
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if nameOf(decl) == p.name && decl.Body != nil {
				found = append(found, &declaration{fn: decl})
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				i := slices.IndexFunc(v.Names, func(n *ast.Ident) bool { return n.Name == p.name })
				if i >= 0 && i < len(v.Values) {
					found = append(found, &declaration{value: v.Values[i]})
				}
			}
		}
	}
	return found
}

// mutate returns the source of the declaration's file with a mutation, which must be another text that parses.
func (d *declaration) mutate(m mutation) ([]byte, error) {
	edits, err := m(d)
	if err != nil {
		return nil, fmt.Errorf("%s %w", d.place, err)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(d.source[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(d.source[at:])
	if bytes.Equal(out.Bytes(), d.source) {
		return nil, fmt.Errorf("%s is the same with the mutation", d.place)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), d.file, out.Bytes(), parser.SkipObjectResolution); err != nil {
		return nil, fmt.Errorf("%s does not parse with the mutation: %w", d.place, err)
	}
	return out.Bytes(), nil
}

func (d *declaration) isFunction() error {
	if d.fn == nil {
		return errors.New("is no function")
	}
	return nil
}

func (d *declaration) offset(p token.Pos) int { return d.fset.Position(p).Offset }

// begin puts statements where the body of the function begins, on the line of its brace.
func (d *declaration) begin(statements string) []edit {
	after := d.offset(d.fn.Body.Lbrace) + 1
	return []edit{{after, after, " " + statements + "; "}}
}

// expand puts the names of receiver and parameters in the place of $0, $1 and so on.
func (d *declaration) expand(text string) (string, error) {
	var unnamed error
	out := os.Expand(text, func(n string) string {
		i, err := strconv.Atoi(n)
		names := append([]string{d.receiver()}, parameters(d.fn)...)
		if err != nil || i >= len(names) || names[i] == "" || names[i] == "_" {
			unnamed = fmt.Errorf("has no receiver or parameter $%s with a name", n)
			return ""
		}
		return names[i]
	})
	return out, unnamed
}

// receiver is the name of the receiver, "" if it has none.
func (d *declaration) receiver() string {
	if d.fn.Recv == nil || len(d.fn.Recv.List[0].Names) == 0 {
		return ""
	}
	return d.fn.Recv.List[0].Names[0].Name
}

func parameters(fn *ast.FuncDecl) (names []string) {
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// nameOf is the name of a function, with the type before it if it is a method: neither pointers nor type parameters count.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	return lastName(fn.Recv.List[0].Type) + "." + fn.Name.Name
}

// lastName is the name that an expression ends with: of x.y, *y, y[T] and y(z) alike it is y.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.StarExpr:
		return lastName(e.X)
	case *ast.ParenExpr:
		return lastName(e.X)
	case *ast.IndexExpr:
		return lastName(e.X)
	case *ast.IndexListExpr:
		return lastName(e.X)
	}
	return ""
}

// conditions are those of every if, for, and case of a switch without a tag.
func conditions(body *ast.BlockStmt) (found []ast.Expr) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			found = append(found, n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil {
				found = append(found, n.Cond)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil {
				break
			}
			for _, clause := range n.Body.List {
				found = append(found, clause.(*ast.CaseClause).List...)
			}
		}
		return true
	})
	return found
}

// smallest is the smallest condition within c that holds every mention of name.
func smallest(c ast.Expr, name string) ast.Expr {
	var parts []ast.Expr
	switch c := c.(type) {
	case *ast.ParenExpr:
		parts = []ast.Expr{c.X}
	case *ast.UnaryExpr:
		if c.Op == token.NOT {
			parts = []ast.Expr{c.X}
		}
	case *ast.BinaryExpr:
		if c.Op == token.LAND || c.Op == token.LOR {
			parts = []ast.Expr{c.X, c.Y}
		}
	}
	parts = slices.DeleteFunc(parts, func(e ast.Expr) bool { return !mentions(e, name) })
	if len(parts) == 1 {
		return smallest(parts[0], name)
	}
	return c
}

func mentions(e ast.Expr, name string) (yes bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		yes = yes || ok && id.Name == name
		return !yes
	})
	return yes
}
