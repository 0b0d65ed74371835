package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/test/clusterset"
)

// TestEditsOfTheCorefile_D18: the two edits of install.md, typed as they stand there, make the Corefiles that clusters have answer the
// zone without a cache and balanced, touch nothing else, and are undone.
func TestEditsOfTheCorefile_D18(t *testing.T) {
	edit := edits(t, "The plugin in the cluster's own CoreDNS")
	undo := edits(t, "Removing the plugin")
	for name, c := range map[string]struct{ before, after string }{
		"kubeadm": {clusterset.StockCorefile, strings.NewReplacer(
			"    kubernetes cluster", "    multicluster clusterset.local\n    kubernetes cluster",
			"disable success cluster.local", "disable success cluster.local clusterset.local",
			"disable denial cluster.local", "disable denial cluster.local clusterset.local").Replace(clusterset.StockCorefile)},
		"a cache for everything": {".:53 {\n    kubernetes cluster.local {\n    }\n    cache 30\n    loadbalance\n}\n",
			".:53 {\n    multicluster clusterset.local\n    kubernetes cluster.local {\n    }\n" +
				"    cache 30 {\n       disable success clusterset.local\n       disable denial clusterset.local\n    }\n    loadbalance\n}\n"},
	} {
		edited := edit(t, c.before)
		if edited != c.after {
			t.Errorf("%s: edited, it is\n%s\nwant\n%s", name, edited, c.after)
		}
		if a := corefile.Of(edited, "clusterset.local"); a.State != corefile.Served || len(a.Cached) > 0 || a.Unbalanced {
			t.Errorf("%s: edited, it does %+v\n%s", name, a, edited)
		}
		undone := undo(t, edited)
		if a := corefile.Of(undone, "clusterset.local"); a.State != corefile.Missing || strings.Contains(undone, "multicluster") {
			t.Errorf("%s: undone, it does %+v\n%s", name, a, undone)
		}
		if name == "kubeadm" && undone != c.before {
			t.Errorf("%s: undone, it is\n%s", name, undone)
		}
	}
}

// edits returns what the command under a heading of install.md that replaces the ConfigMap does to a Corefile.
func edits(t *testing.T, section string) func(*testing.T, string) string {
	t.Helper()
	commands, err := Commands("install.md", section)
	if err != nil {
		t.Fatal(err)
	}
	const before, after = "kubectl --context c1 -n kube-system get configmap coredns -o yaml |", "kubectl --context c1 replace -f -"
	for _, command := range commands {
		rest, found := strings.CutPrefix(command, before)
		script, replaced := strings.CutSuffix(rest, after)
		if !found || !replaced {
			continue
		}
		return func(t *testing.T, text string) string {
			t.Helper()
			const header, indent = "data:\n  Corefile: |\n", "    "
			file := filepath.Join(t.TempDir(), "configmap.yaml")
			lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
			if err := os.WriteFile(file, []byte(header+indent+strings.Join(lines, indent)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("bash", "-euo", "pipefail", "-c", fmt.Sprintf("cat %s |%scat", file, script)).Output()
			if err != nil {
				t.Fatal(err)
			}
			return strings.ReplaceAll(strings.TrimPrefix(string(out), header+indent), "\n"+indent, "\n")
		}
	}
	t.Fatalf("install.md replaces no ConfigMap under %q", section)
	return nil
}
