package command

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

var update = flag.Bool("update", false, "write docs/mcsctl.md anew")

const page = "../../../docs/mcsctl.md"

const intro = `# mcsctl

` + "`mcsctl`" + ` shows the state of a clusterset and explains why a name does not resolve. Installed as ` + "`kubectl-mcs`" + ` in a directory of the
` + "`PATH`" + `, it also runs as ` + "`kubectl mcs`" + `. This page has the ` + "`--help`" + ` text of every command. A test keeps it up to date
(` + "`go test ./cmd/mcsctl/command -update`" + ` writes it).

The output is text, in colour on a terminal unless ` + "`NO_COLOR`" + ` is set. For programs, ` + "`-o json`" + ` and ` + "`-o yaml`" + ` select another format.
Progress goes to standard error.

| exit code | meaning |
|---|---|
| 0 | all is well |
| 1 | a problem was found, or the request could not be carried out |
| 2 | the command line is wrong, or there is no cluster to begin with |
`

// pages are the commands, as the page in docs has them.
var pages = [][]string{nil, {"explain"}, {"status"}, {"services"}, {"check"}, {"join"}, {"leave"}, {"dns"}, {"export"}, {"unexport"}, {"import"}, {"version"}, {"completion"}}

// TestPage: the page in docs says what the program says.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(intro)
	for _, c := range pages {
		var out, errs bytes.Buffer
		code := Run(t.Context(), "test", append(append([]string{"mcsctl"}, c...), "--help"), &out, &errs)
		if code != ExitOK || errs.Len() > 0 {
			t.Fatalf("mcsctl %v --help: exit code %d: %s", c, code, errs.String())
		}
		text, _, _ := strings.Cut(out.String(), "\nGlobal Flags:\n")
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s\n```\n", strings.Join(append([]string{"mcsctl"}, c...), " "), strings.TrimSpace(text))
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	held, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(held) != b.String() {
		t.Error("docs/mcsctl.md is not what --help says; go test ./cmd/mcsctl/command -update writes it")
	}
}

func TestParseName(t *testing.T) {
	for text, want := range map[string]string{
		"service1.provider-ns":                                 "provider-ns/service1",
		"provider-ns/service1":                                 "provider-ns/service1",
		"service1.provider-ns.svc.clusterset.local":            "provider-ns/service1",
		"Service1.Provider-NS.svc.ClusterSet.Local.":           "provider-ns/service1",
		"service1.provider-ns.svc":                             "provider-ns/service1",
		"_http._tcp.service1.provider-ns.svc.clusterset.local": "provider-ns/service1",
		"web-0.c1.service1.provider-ns.svc.clusterset.local":   "provider-ns/service1 web-0.c1",
		"web-0.a.b.service1.provider-ns.svc.clusterset.local.": "provider-ns/service1 web-0.a.b",
		"service1": "", "": "", "a.b.c": "", "a/b/c": "", "svc.clusterset.local": "", "x_y.ns": "",
	} {
		got, sub, err := parseName(text, "clusterset.local")
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken for %s", text, got)
			}
			continue
		}
		want, wantSub, _ := strings.Cut(want, " ")
		ns, name, _ := strings.Cut(want, "/")
		if err != nil || sub != wantSub || got != (types.NamespacedName{Namespace: ns, Name: name}) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
}

// TestUsage: what is wrong with a command line is said in one line, with exit code 2.
func TestUsage(t *testing.T) {
	missing := t.TempDir() + "/none"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"explain"}, "accepts 1 arg(s), received 0"},
		{[]string{"explain", "nonsense"}, "want service.namespace"},
		{[]string{"explain", "a.b", "--dns", "x:y"}, "want an IP address"},
		{[]string{"status", "-o", "xml"}, "want json or yaml"},
		{[]string{"status", "--kubeconfig", missing}, "no such file"},
		{[]string{"status", "--cluster", "a"}, "want id=kubeconfig[:context]"},
		{[]string{"status", "--cluster", "a=x", "--contexts", "b"}, "exclude each other"},
		{[]string{"join", "c1"}, "which cluster joins"},
		{[]string{"join", "c1", "--from", "x", "--role", "boss"}, "want provider, consumer or both"},
		{[]string{"join", "c1", "--from", "x", "--pod-cidrs", "10.0.0.0"}, "want ranges such as"},
		{[]string{"frobnicate"}, "unknown command"},
		{[]string{"status", "--frobnicate"}, "unknown flag"},
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), "test", append([]string{"mcsctl"}, c.args...), &out, &errs)
		if code != ExitUsage || !strings.Contains(errs.String(), c.want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%v: exit code %d, %q; want %q in one line", c.args, code, errs.String(), c.want)
		}
	}
}
