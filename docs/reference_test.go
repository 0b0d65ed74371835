package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	_ "github.com/clusterset/multicluster/plugin" // registers its metrics
)

// rows returns the table of the reference under a heading.
func rows(t *testing.T, section string) []Row {
	t.Helper()
	all, err := Rows("reference.md", section)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same reports what only one of two lists has, whatever their order.
func same(t *testing.T, page string, known, documented []string) {
	t.Helper()
	if len(known) == 0 {
		t.Error("the code has none")
	}
	for _, k := range known {
		if !slices.Contains(documented, k) {
			t.Errorf("%s does not have %s", page, k)
		}
	}
	for i, d := range documented {
		if !slices.Contains(known, d) {
			t.Errorf("%s has %s, which the code does not have", page, d)
		}
		if slices.Contains(documented[:i], d) {
			t.Errorf("%s has %s twice", page, d)
		}
	}
}

// TestPluginMetrics: the reference and the man page have every metric that the plugin registers, with its labels, and no other.
func TestPluginMetrics(t *testing.T) {
	known := Metrics(prometheus.DefaultRegisterer.(*prometheus.Registry), func(name string) bool { return strings.HasPrefix(name, "coredns_multicluster_") })
	var documented []string
	for _, row := range rows(t, "Metrics of the CoreDNS plugin") {
		documented = append(documented, row.Metric())
	}
	same(t, "reference.md", known, documented)

	readme, err := os.ReadFile("../plugin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	documented = nil
	for _, m := range regexp.MustCompile("(?m)^\\* `(coredns_[a-z_]+)\\{([a-z, ]+)\\}` - ").FindAllStringSubmatch(string(readme), -1) {
		labels := strings.Split(m[2], ", ")
		slices.Sort(labels)
		documented = append(documented, m[1]+"{"+strings.Join(labels, ",")+"}")
	}
	same(t, "plugin/README.md", known, documented)
}

// TestExitCodes: the reference has the exit codes of both programs, and mcsctl.md those of mcsctl.
func TestExitCodes(t *testing.T) {
	var documented []string
	all := rows(t, "Exit codes")
	for _, row := range all {
		documented = append(documented, row[0])
	}
	mcsctl := exitCodes(t, "../cmd/mcsctl/command")
	for program, codes := range map[string][]string{"mcsctl": mcsctl, "mcs-controller": exitCodes(t, "../cmd/mcs-controller")} {
		t.Run(program, func(t *testing.T) { same(t, "reference.md", codes, documented) })
	}
	page, err := Rows("mcsctl.md", "mcsctl")
	if err != nil {
		t.Fatal(err)
	}
	documented = nil
	for _, row := range page {
		documented = append(documented, row[0])
	}
	same(t, "mcsctl.md", mcsctl, documented)
}

// exitCodes are the values of the constants of a package whose names begin with "exit".
func exitCodes(t *testing.T, dir string) (codes []string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if ok && strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "exit") && len(spec.Values) == 1 {
				if value, ok := spec.Values[0].(*ast.BasicLit); ok && value.Kind == token.INT {
					codes = append(codes, value.Value)
				}
			}
			return true
		})
	}
	return codes
}

// TestPorts: the reference has the ports of the Deployments: those of their containers, and those that only probes name.
func TestPorts(t *testing.T) {
	known := map[string]bool{}
	for _, component := range []string{"controller", "coredns"} {
		text, err := os.ReadFile("../deploy/components/" + component + "/deployment.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range strings.Split(string(text), "\n---\n") {
			var d appsv1.Deployment
			if err := yaml.Unmarshal([]byte(object), &d); err != nil {
				t.Fatal(err)
			}
			for _, c := range d.Spec.Template.Spec.Containers {
				for _, p := range c.Ports {
					protocol := p.Protocol
					if protocol == "" {
						protocol = corev1.ProtocolTCP
					}
					known[d.Name+" "+strconv.Itoa(int(p.ContainerPort))+" "+string(protocol)] = true
				}
				for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
					if probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Port.Type == intstr.Int {
						known[d.Name+" "+probe.HTTPGet.Port.String()+" TCP"] = true
					}
				}
			}
		}
	}
	var documented []string
	for _, row := range rows(t, "Ports") {
		documented = append(documented, strings.Join(append(row.Code(0), row[1], row[2]), " "))
	}
	same(t, "reference.md", slices.Sorted(maps.Keys(known)), documented)
}
