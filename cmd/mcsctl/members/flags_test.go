package members

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFlags: what is advised about a cluster acts on that cluster, and mcsctl looks at the same ones again, however they were named.
func TestFlags(t *testing.T) {
	for name, c := range map[string]struct {
		cluster Cluster
		want    string
	}{
		"a context":              {Cluster{Context: "c1"}, " --context c1"},
		"of a file":              {Cluster{Context: "c1", Kubeconfig: "/tmp/a b"}, " --kubeconfig '/tmp/a b' --context c1"},
		"a pod's own":            {Cluster{}, ""},
		"known by a Secret only": {Cluster{ID: "c2", Registered: true}, " --context CONTEXT-OF-c2"},
	} {
		if got := c.cluster.Flags(); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		options Options
		home    *Cluster
		want    string
	}{
		"a home":             {Options{Namespace: DefaultNamespace}, &Cluster{Context: "c1"}, " --context c1"},
		"another namespace":  {Options{Namespace: "mcs"}, &Cluster{Context: "c1"}, " --context c1 --namespace mcs"},
		"contexts of a file": {Options{Kubeconfig: "k", Contexts: []string{"a", "x=b"}}, nil, " --kubeconfig k --contexts a,x=b"},
		"another zone":       {Options{Namespace: DefaultNamespace, Zone: "example.org."}, &Cluster{Context: "c1"}, " --context c1 --zone example.org"},
		"the usual zone":     {Options{Namespace: DefaultNamespace, Zone: DefaultZone}, &Cluster{Context: "c1"}, " --context c1"},
		"kubeconfigs":        {Options{Clusters: []string{"a=k1", "b=k2:ctx"}}, nil, " --cluster a=k1 --cluster b=k2:ctx"},
	} {
		if got := lookOf(c.options, c.home); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestFlagsOfOptions: the clusters of --cluster and --kubeconfig keep the file that they were read from.
func TestFlagsOfOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	const content = `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}],
  users: [{name: u, user: {token: x}}], contexts: [{name: c, context: {cluster: c, user: u}}]}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	want := " --kubeconfig " + file + " --context c"
	set, err := Find(t.Context(), Options{Clusters: []string{"c9=" + file}, Namespace: DefaultNamespace})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Clusters[0].Flags(); string(got) != want {
		t.Errorf("--cluster: %q, want %q", got, want)
	}
	if got := set.Look(); string(got) != " --cluster c9="+file {
		t.Errorf("the set: %q", got)
	}
	set.Namespace = "mcs"
	if got := set.Registering(); string(got) != want+" --namespace mcs" {
		t.Errorf("for join and leave: %q", got)
	}
	one, err := One(Options{Kubeconfig: file}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := one.Flags(); string(got) != want {
		t.Errorf("--kubeconfig: %q, want %q", got, want)
	}
}
