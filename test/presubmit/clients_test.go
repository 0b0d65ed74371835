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

// clientMakers are functions of client-go that make what sends requests. Those that end in ForConfigAndClient use what is
// there already.
var clientMakers = regexp.MustCompile(`^(New\w*ForConfig(OrDie)?|HTTPClientFor|TransportFor|\w*RESTClientFor|RoundTripperFor|HTTPWrappersForConfig|NewSPDYOverWebsocketDialer)$`)

// TestOneClient_X6: packages internal/kubeclient make all clients, and nobody else does: what they bound is bounded everywhere. Nor does
// anybody follow objects but by internal/follow (SPEC L10).
func TestOneClient_X6(t *testing.T) {
	looked := 0
	for _, name := range strings.Fields(run(t, "git", "ls-files", "--cached", "--others", "--exclude-standard", "*.go")) {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "deploy/validate/") || strings.HasPrefix(name, "internal/kubeclient/") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root(t), name), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // removed in the work tree; or the compiler says it
		}
		looked++
		for _, i := range file.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(path+"/", "k8s.io/client-go/tools/cache/") || strings.HasPrefix(path, "k8s.io/client-go/informers") {
				t.Errorf("%s imports %s; want internal/follow, the one list-and-watch", name, path)
			}
		}
		for at, what := range madeClients(file) {
			t.Errorf("%s:%d uses %s; want a client of internal/kubeclient", name, fset.Position(at).Line, what)
		}
	}
	if looked < 100 {
		t.Errorf("looked at %d files only", looked)
	}
}

func TestMadeClients(t *testing.T) {
	for _, c := range []struct {
		name, imports, body string
		want                int
	}{
		{"typed client", `"k8s.io/client-go/kubernetes"`, `kubernetes.NewForConfig(cfg)`, 1},
		{"typed client over another", `"k8s.io/client-go/kubernetes"`, `kubernetes.NewForConfigAndClient(cfg, c)`, 0},
		{"under another name", `k "k8s.io/client-go/dynamic"`, `k.NewForConfigOrDie(cfg)`, 1},
		{"discovery", `"k8s.io/client-go/discovery"`, `discovery.NewDiscoveryClientForConfig(cfg)`, 1},
		{"REST", `"k8s.io/client-go/rest"`, `rest.HTTPClientFor(cfg); rest.TransportFor(cfg); rest.RESTClientFor(cfg); rest.UnversionedRESTClientFor(cfg)`, 4},
		{"REST over another", `"k8s.io/client-go/rest"`, `rest.RESTClientForConfigAndClient(cfg, c)`, 0},
		{"portforward", `"k8s.io/client-go/transport/spdy"`, `spdy.RoundTripperFor(cfg)`, 1},
		{"HTTP", `"net/http"`, `http.Get(u); _ = http.DefaultClient; _ = http.Client{}; _ = &http.Client{}; _ = new(http.Client); var c http.Client; _ = http.Transport{}`, 7},
		{"HTTP server", `"net/http"`, `var s http.Server; var c *http.Client; http.NewRequest("GET", u, nil); http.Error(w, "", http.StatusOK)`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nimport "+c.imports+"\nfunc f() { "+c.body+" }", parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if got := madeClients(file); len(got) != c.want {
				t.Errorf("found %v, want %d", got, c.want)
			}
		})
	}
}

// madeClients returns what a file makes clients with, and where.
func madeClients(file *ast.File) map[token.Pos]string {
	imported := map[string]string{}
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = path
	}
	found, pointers := map[token.Pos]string{}, map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if star, ok := n.(*ast.StarExpr); ok {
			pointers[star.X] = true
		}
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := s.X.(*ast.Ident)
		if !ok {
			return true
		}
		made := false
		switch path := imported[pkg.Name]; {
		case path == "net/http":
			switch s.Sel.Name {
			case "Get", "Head", "Post", "PostForm", "DefaultClient", "DefaultTransport":
				made = true
			case "Client", "Transport":
				made = !pointers[s]
			}
		case strings.HasPrefix(path, "k8s.io/client-go/"):
			made = clientMakers.MatchString(s.Sel.Name)
		}
		if made {
			found[s.Pos()] = pkg.Name + "." + s.Sel.Name
		}
		return true
	})
	return found
}
