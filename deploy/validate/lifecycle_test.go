package validate

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/cli"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/controlplane"
)

// helm does what the command of that name does, on one server, in the namespace of ours.
type helm struct {
	t      *testing.T
	config *action.Configuration
}

func newHelm(t *testing.T, kubeconfig string) *helm {
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = kubeconfig
	settings.SetNamespace(namespace)
	config := new(action.Configuration)
	if err := config.Init(settings.RESTClientGetter(), namespace, "secret", discard); err != nil {
		t.Fatal(err)
	}
	return &helm{t, config}
}

func (h *helm) install(c *chart.Chart, values map[string]any) {
	h.t.Helper()
	install := action.NewInstall(h.config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = release, namespace, true
	if _, err := install.RunWithContext(h.t.Context(), c, values); err != nil {
		h.t.Fatalf("helm install: %v", err)
	}
}

func (h *helm) upgrade(c *chart.Chart, values map[string]any) {
	h.t.Helper()
	upgrade := action.NewUpgrade(h.config)
	upgrade.Namespace = namespace
	if _, err := upgrade.RunWithContext(h.t.Context(), release, c, values); err != nil {
		h.t.Fatalf("helm upgrade: %v", err)
	}
}

func (h *helm) uninstall() {
	h.t.Helper()
	if _, err := action.NewUninstall(h.config).Run(release); err != nil {
		h.t.Fatalf("helm uninstall: %v", err)
	}
}

func theChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := Chart(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// previousChart returns the chart as it was before it last changed, or nil if git has no such thing.
func previousChart(t *testing.T) *chart.Chart {
	t.Helper()
	out, err := exec.Command("git", "-C", chartDir, "log", "--format=%H", "-2", "--", ".").Output()
	commits := strings.Fields(string(out))
	if err != nil || len(commits) == 0 {
		return nil
	}
	commit := commits[len(commits)-1]
	if dirty, _ := exec.Command("git", "-C", chartDir, "status", "--porcelain", ".").Output(); len(dirty) > 0 {
		commit = commits[0]
	}
	dir := t.TempDir()
	extract := exec.Command("sh", "-c", `git -C "$1" archive "$2" deploy/chart | tar -x -C "$3"`, "sh", rootDir, commit, dir)
	if out, err := extract.CombinedOutput(); err != nil {
		t.Fatalf("git archive %s: %v\n%s", commit, err, out)
	}
	c, err := Chart(dir + "/deploy/chart/multicluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the previous chart is that of commit %s", commit)
	return c
}

// TestChartLifecycle: installed as it was before its last change, upgraded to what it is, and uninstalled, which leaves nothing
// but the CRDs, and the namespace, which Helm makes but never takes (SPEC X8).
func TestChartLifecycle(t *testing.T) {
	s := newServer(t, controlplane.ForTest(t, controlplane.Options{ControllerManager: true}))
	before := s.mustInventory(t)
	h := newHelm(t, s.Kubeconfig())
	first := map[string]any{"controller": map[string]any{"self": "c1"}}
	if old := previousChart(t); old != nil {
		h.install(old, first)
		h.upgrade(theChart(t), everything)
	} else {
		t.Log("git has no previous chart: upgrading from this one to itself")
		h.install(theChart(t), first)
		h.upgrade(theChart(t), everything)
	}
	want := rendered(t, release, everything)
	for _, o := range want {
		if err := s.has(t.Context(), o); err != nil {
			t.Errorf("after the upgrade: %v", err)
		}
		if o.GetKind() == "Deployment" {
			s.awaitPods(t, o)
		}
	}
	h.upgrade(theChart(t), first) // and back: what is switched off goes
	h.uninstall()
	s.awaitLeft(t, before,
		"CustomResourceDefinition /serviceexports.multicluster.x-k8s.io", "CustomResourceDefinition /serviceimports.multicluster.x-k8s.io",
		"Namespace /"+namespace)
}

// TestChartKeepsRoles: roles that a release no longer has stay, with the bindings that people made to them, where somebody did before
// the upgrade what docs/upgrading.md says.
func TestChartKeepsRoles(t *testing.T) {
	s := newServer(t, controlplane.ForTest(t, controlplane.Options{}))
	h := newHelm(t, s.Kubeconfig())
	h.install(theChart(t), everything) // as an earlier chart had all roles, whatever was enabled
	const section = "Roles that the chart no longer installs"
	commands, err := docs.Commands("upgrading.md", section)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		s.shell(t, s.Kubeconfig(), strings.ReplaceAll(command, " --context c1", ""))
	}
	h.upgrade(theChart(t), map[string]any{"controller": map[string]any{"enabled": false}, "people": map[string]any{"enabled": false}})
	page, err := os.ReadFile(filepath.Join(rootDir, "docs/upgrading.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "### "+section)
	text, _, _ = strings.Cut(text, "```")
	for _, o := range rendered(t, release, everything) {
		if o.GetKind() == "ClusterRole" {
			if err := s.has(t.Context(), o); err != nil {
				t.Errorf("after the upgrade: %v", err)
			}
		}
	}
	for _, o := range append(kustomized(t, "rbac"), kustomized(t, "rbac/coredns")...) {
		if !strings.Contains(text, "`"+o.GetName()+"`") {
			t.Errorf("upgrading.md does not name %s", o.GetName())
		}
	}
}

// TestServerAcceptsChart applies what the chart makes, strictly: Helm itself lets the server drop what it doesn't know.
func TestServerAcceptsChart(t *testing.T) {
	s := newServer(t, controlplane.ForTest(t, controlplane.Options{}))
	s.applyAll(t, kustomized(t, "crds"))
	s.applyAll(t, kustomized(t, "base")[:1]) // the namespace
	s.applyAll(t, rendered(t, release, everything))
}

func (s *server) has(ctx context.Context, o *unstructured.Unstructured) error {
	client, err := s.resource(o)
	if err != nil {
		return err
	}
	_, err = client.Get(ctx, o.GetName(), metav1.GetOptions{})
	return err
}
