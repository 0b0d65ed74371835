package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		"blanks at the end of lines": {".:53 {\n    kubernetes cluster.local { \n    }\n    cache 30 {\n       disable success cluster.local  \n" +
			"       disable denial cluster.local\n    }\n    loadbalance\n}\n",
			".:53 {\n    multicluster clusterset.local\n    kubernetes cluster.local { \n    }\n    cache 30 {\n       disable success cluster.local clusterset.local  \n" +
				"       disable denial cluster.local clusterset.local\n    }\n    loadbalance\n}\n"},
		"a block with options": {".:53 {\n    multicluster clusterset.local {\n        ttl 3\n    }\n    loadbalance\n}\n", ""},
		"edited before": {".:53 {\n    multicluster clusterset.local # Add this line.\n    kubernetes cluster.local {\n    }\n    loadbalance\n}\n",
			".:53 {\n    multicluster clusterset.local # Add this line.\n    kubernetes cluster.local {\n    }\n    loadbalance\n}\n"},
	} {
		if c.after == "" { // a person has to look
			if text, err := undo(t, c.before); err == nil || text != c.before {
				t.Errorf("%s: undone without a word, it is\n%s", name, text)
			}
			continue
		}
		edited := must(edit(t, c.before))(t)
		if edited != c.after {
			t.Errorf("%s: edited, it is\n%s\nwant\n%s", name, edited, c.after)
		}
		if a := corefile.Of(edited, "clusterset.local"); a.State != corefile.Served || len(a.Cached) > 0 || a.Unbalanced {
			t.Errorf("%s: edited, it does %+v\n%s", name, a, edited)
		}
		if again := must(edit(t, edited))(t); again != edited {
			t.Errorf("%s: edited twice, it is\n%s", name, again)
		}
		undone := must(undo(t, edited))(t)
		if a := corefile.Of(undone, "clusterset.local"); a.State != corefile.Missing || strings.Contains(undone, "multicluster") {
			t.Errorf("%s: undone, it does %+v\n%s", name, a, undone)
		}
		if name == "kubeadm" && undone != c.before {
			t.Errorf("%s: undone, it is\n%s", name, undone)
		}
	}
}

// must fails a test for an error.
func must(text string, err error) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// edits returns what the commands under a heading of install.md do to the file with a Corefile, up to the first that fails.
func edits(t *testing.T, section string) func(*testing.T, string) (string, error) {
	t.Helper()
	commands, err := Commands("install.md", section)
	if err != nil {
		t.Fatal(err)
	}
	const file = "/tmp/Corefile"
	commands = slices.DeleteFunc(commands, func(command string) bool {
		return !strings.Contains(command, file) || strings.HasPrefix(command, "kubectl ")
	})
	if len(commands) < 2 { // the edit, and the look whether it did anything
		t.Fatalf("install.md edits no %s under %q", file, section)
	}
	return func(t *testing.T, text string) (string, error) {
		t.Helper()
		mine := filepath.Join(t.TempDir(), "Corefile")
		if err := os.WriteFile(mine, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var failed error
		for _, command := range commands {
			if out, err := exec.Command("bash", "-euo", "pipefail", "-c", strings.ReplaceAll(command, file, mine)).CombinedOutput(); err != nil {
				failed = fmt.Errorf("%s: %w\n%s", command, err, out)
				break
			}
		}
		edited, err := os.ReadFile(mine)
		if err != nil {
			t.Fatal(err)
		}
		return string(edited), failed
	}
}
