package merge

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the goldens with what the code says now")

// trustExample is what every cluster of the goldens is trusted with.
func trustExample(key string) bool { return strings.HasPrefix(key, "kubernetes.io.example.com/") }

// now is when the goldens are merged.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestGolden holds testdata/*.txtar, which document the rules of SPEC E and M by example: a comment that states the rule,
// one file per exporting cluster with its ServiceExport and Service, and the merged service in "merged.yaml". Every
// example is merged in every order of its clusters (SPEC M1), up to five.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Comment) == 0 {
				t.Error("no comment that states the rule")
			}
			golden(t, file, archive)
		})
	}
}

func golden(t *testing.T, file string, archive *txtar.Archive) {
	var exports []Export
	out := outcome{}
	at := -1
	for i, f := range archive.Files {
		if f.Name == "merged.yaml" {
			at = i
			continue
		}
		cluster := strings.TrimSuffix(f.Name, ".yaml")
		export, service := parse(t, f.Data)
		if refused := RefusedKeys(export, trustExample); len(refused) > 0 {
			out.Refused = append(out.Refused, cluster+": "+strings.Join(refused, ", "))
		}
		e, invalid := Of(cluster, export, service, trustExample)
		if invalid != nil {
			out.Invalid = append(out.Invalid, fmt.Sprintf("%s: %s: %s", cluster, invalid.Reason, invalid.Message))
			continue
		}
		exports = append(exports, e)
	}
	var first []byte
	for _, order := range permutations(exports) {
		text := out.of(t, Merge(order, now))
		if first == nil {
			first = text
		} else if !bytes.Equal(first, text) {
			t.Fatalf("another order gives another service:\n%s\n%s", first, text)
		}
	}
	if *update {
		if at < 0 {
			archive.Files, at = append(archive.Files, txtar.File{Name: "merged.yaml"}), len(archive.Files)
		}
		archive.Files[at].Data = first
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if at < 0 || !bytes.Equal(archive.Files[at].Data, first) {
		t.Errorf("got:\n%s(go test -run TestGolden -update writes it)", first)
	}
}

// outcome is a result as a person reads it.
type outcome struct {
	Invalid             []string          `json:"invalid,omitempty"`
	Refused             []string          `json:"refused,omitempty"`
	Clusters            string            `json:"clusters,omitempty"`
	Type                string            `json:"type,omitempty"`
	Ports               []string          `json:"ports,omitempty"`
	SessionAffinity     string            `json:"sessionAffinity,omitempty"`
	TrafficPolicy       string            `json:"internalTrafficPolicy,omitempty"`
	TrafficDistribution string            `json:"trafficDistribution,omitempty"`
	IPFamilies          string            `json:"ipFamilies,omitempty"`
	Labels              map[string]string `json:"labels,omitempty"`
	Annotations         map[string]string `json:"annotations,omitempty"`
	Conflicts           []string          `json:"conflicts,omitempty"`
	Routes              []string          `json:"routes,omitempty"`
}

// of returns o with r in it, as YAML.
func (o outcome) of(t *testing.T, r Result) []byte {
	if len(r.Clusters) > 0 {
		o.describe(r)
	}
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (o *outcome) describe(r Result) {
	o.Clusters = strings.Join(r.Clusters, ", ")
	o.Type = string(r.Type())
	for _, p := range r.Ports {
		text := strings.TrimSpace(p.Name + " " + p.String())
		if p.AppProtocol != "" {
			text += " " + p.AppProtocol
		}
		if p.Published != p.Name {
			text += ", published as " + p.Published
		}
		o.Ports = append(o.Ports, text)
	}
	if r.AffinityTimeout != nil {
		o.SessionAffinity = fmt.Sprintf("%s for %d s", r.SessionAffinity, *r.AffinityTimeout)
	}
	if r.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyCluster {
		o.TrafficPolicy = string(r.InternalTrafficPolicy)
	}
	o.TrafficDistribution = r.TrafficDistribution
	for _, f := range r.IPFamilies {
		o.IPFamilies = strings.TrimSpace(o.IPFamilies + " " + string(f))
	}
	o.Labels, o.Annotations = r.Labels, r.Annotations
	for _, c := range r.Conflicts {
		o.Conflicts = append(o.Conflicts, string(c.Reason)+": "+c.Message)
	}
	for _, cluster := range r.Clusters {
		var routes []string
		for own, published := range r.Routes[cluster] {
			routes = append(routes, fmt.Sprintf("%q to %q", own, published))
		}
		slices.Sort(routes)
		o.Routes = append(o.Routes, cluster+": "+strings.Join(routes, ", "))
	}
}

// parse reads the ServiceExport, and the Service if there is one, of one cluster.
func parse(t *testing.T, text []byte) (export *mcs.ServiceExport, service *corev1.Service) {
	t.Helper()
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		var into any
		switch kind.Kind {
		case "ServiceExport":
			export = &mcs.ServiceExport{}
			into = export
		case "Service":
			service = &corev1.Service{}
			into = service
		default:
			t.Fatalf("kind %q", kind.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			t.Fatal(err)
		}
	}
	return export, service
}

// permutations returns every order of at most five exports, and two orders of more.
func permutations(exports []Export) [][]Export {
	if len(exports) > 5 {
		reversed := slices.Clone(exports)
		slices.Reverse(reversed)
		return [][]Export{exports, reversed}
	}
	if len(exports) <= 1 {
		return [][]Export{exports}
	}
	var out [][]Export
	for i := range exports {
		rest := slices.Delete(slices.Clone(exports), i, i+1)
		for _, p := range permutations(rest) {
			out = append(out, append([]Export{exports[i]}, p...))
		}
	}
	return out
}
