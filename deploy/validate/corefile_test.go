package validate

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
)

const zone = "clusterset.local"

// TestCorefiles_D18: every Corefile that we ship, write or show answers the zone, keeps nothing of it in a cache, and balances: files,
// pages, what kustomize and the chart render, the chart's notes, and what mcsctl writes. A new one need not be listed here.
func TestCorefiles_D18(t *testing.T) {
	found := map[string]int{} // Corefiles by where they are
	holds := func(where, text string) {
		a := corefile.Of(text, zone)
		if !a.Works() {
			return // of something else
		}
		found[where]++
		for _, kind := range a.Cached {
			t.Errorf("%s: the cache keeps answers of the zone (%s): no cache in its own block, otherwise \"disable %s %s\":\n%s", where, kind, kind, zone, text)
		}
		if a.Unbalanced {
			t.Errorf("%s: loadbalance is missing:\n%s", where, text)
		}
	}
	for file, text := range texts(t) {
		for _, block := range serverBlocks(text) {
			holds(file, block)
		}
	}
	for _, base := range kustomizations(t) {
		for _, text := range corefilesOf(kustomized(t, base)) {
			holds("kustomize "+base, text)
		}
	}
	for name, values := range map[string]map[string]any{
		"defaults": {"coredns": map[string]any{"own": map[string]any{"enabled": true}}}, "everything": everything,
	} {
		for _, text := range corefilesOf(rendered(t, release, values)) {
			holds("chart "+name, text)
		}
		notes, err := Notes(release, values, "v1.37.2")
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range serverBlocks(notes) {
			holds("notes "+name, block)
		}
	}
	holds("mcsctl dns", corefile.WithStub(".:53 {\n    kubernetes cluster.local\n    cache 30\n}\n", zone, []string{"10.96.0.53"}))

	for _, where := range []string{"README.md", "plugin/README.md", "deploy/README.md", "docs/install.md", "corefile-examples/document.corefile", "corefile-examples/fallthrough.corefile",
		"corefile-examples/minimal.corefile", "corefile-examples/out-of-cluster.corefile", "deploy/components/coredns/Corefile", "deploy/coredns-stock/canary/Corefile",
		"test/demo/manifests/Corefile", "kustomize coredns", "kustomize quickstart", "kustomize coredns-stock/canary",
		"chart defaults", "chart everything", "notes defaults", "notes everything", "mcsctl dns"} {
		if found[where] == 0 {
			t.Errorf("%s: no Corefile that answers for %s was found; in all: %v", where, zone, slices.Sorted(maps.Keys(found)))
		}
	}
}

// texts are the files of the repository that people read or apply, by their paths; programs and tests are others.
func texts(t *testing.T) map[string]string {
	t.Helper()
	out, root := map[string]string{}, os.DirFS(rootDir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || name == "bin" || name != "." && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case d.IsDir(), name != "Corefile" && !slices.Contains([]string{".corefile", ".md", ".yaml", ".txt"}, filepath.Ext(name)):
			return nil
		}
		text, err := fs.ReadFile(root, path)
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serverBlocks cuts the server blocks out of a text: from a line that ends in a brace to the closing one that is as far indented.
func serverBlocks(text string) (blocks []string) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		first := strings.TrimLeft(lines[i], " ")
		if !strings.HasSuffix(first, " {") || strings.HasPrefix(first, "#") {
			continue
		}
		closing := lines[i][:len(lines[i])-len(first)] + "}"
		if n := slices.Index(lines[i:], closing); n > 0 {
			blocks = append(blocks, strings.Join(lines[i:i+n+1], "\n"))
			i += n
		}
	}
	return blocks
}

func TestServerBlocks(t *testing.T) {
	const text = "Add this:\n\n  a.example:53 {\n      cache {\n          success 5\n      }\n  }\n\n```corefile\n.:53 {\n    forward . 9.9.9.9\n}\n```\nopen {\n"
	want := []string{"  a.example:53 {\n      cache {\n          success 5\n      }\n  }", ".:53 {\n    forward . 9.9.9.9\n}"}
	if got := serverBlocks(text); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// corefilesOf are those in ConfigMaps.
func corefilesOf(objects []*unstructured.Unstructured) (texts []string) {
	for _, o := range objects {
		if text, found, _ := unstructured.NestedString(o.Object, "data", "Corefile"); found && o.GetKind() == "ConfigMap" {
			texts = append(texts, text)
		}
	}
	return texts
}
