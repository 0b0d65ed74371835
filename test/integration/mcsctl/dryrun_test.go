package mcsctl

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// applied records what mcsctl applies, as the API server sees it.
const applied = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Request, verbs: [create, update, patch, delete, deletecollection], users: [admin]}
- {level: None}
`

// seeing makes an API server record what mcsctl applies, in a file.
func seeing(t *testing.T, opts controlplane.Options) (controlplane.Options, string) {
	t.Helper()
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	kit.Must(t, os.WriteFile(policy, []byte(applied), 0o600))
	opts.ExtraArgs = map[string][]string{"kube-apiserver": {"--audit-policy-file=" + policy, "--audit-log-path=" + log, "--audit-log-mode=blocking"}}
	return opts, log
}

// seen returns the objects that an API server saw mcsctl apply, in order. Any other write of mcsctl's fails the test.
func seen(t *testing.T, log string) (objects []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(log)
	kit.Must(t, err)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var event struct {
			Verb          string         `json:"verb"`
			UserAgent     string         `json:"userAgent"`
			RequestURI    string         `json:"requestURI"`
			RequestObject map[string]any `json:"requestObject"`
		}
		kit.Must(t, json.Unmarshal(lines.Bytes(), &event))
		if event.UserAgent != "mcsctl" {
			continue
		}
		if event.Verb != "patch" || !strings.Contains(event.RequestURI, "fieldManager=mcsctl") {
			t.Errorf("mcsctl sent %s %s", event.Verb, event.RequestURI)
		}
		objects = append(objects, event.RequestObject)
	}
	return objects
}

// printed returns the objects that a dry run printed for both clusters.
func printed(t *testing.T, text string) (there, home []map[string]any) {
	t.Helper()
	parts := strings.Split(text, "# In context ")
	if len(parts) != 3 || parts[0] != "" {
		t.Fatalf("there are %d parts in\n%s", len(parts)-1, text)
	}
	objectsIn := func(part string) (objects []map[string]any) {
		for _, document := range strings.Split(part, "---\n")[1:] {
			if strings.TrimSpace(document) == "" {
				continue
			}
			var object map[string]any
			kit.Must(t, yaml.Unmarshal([]byte(document), &object))
			objects = append(objects, object)
		}
		return objects
	}
	return objectsIn(parts[1]), objectsIn(parts[2])
}

// alike brings a Secret with a kubeconfig into one form, whoever has it, without the token.
func alike(t *testing.T, object map[string]any) {
	t.Helper()
	text := ""
	if data, ok := object["data"].(map[string]any); ok {
		decoded, err := base64.StdEncoding.DecodeString(data["kubeconfig"].(string))
		kit.Must(t, err)
		text = string(decoded)
	} else if data, ok := object["stringData"].(map[string]any); ok {
		text = data["kubeconfig"].(string)
	} else {
		return
	}
	var config map[string]any
	kit.Must(t, yaml.Unmarshal([]byte(text), &config))
	user := config["users"].([]any)[0].(map[string]any)["user"].(map[string]any)
	if user["token"] == "" {
		t.Error("there is no token")
	}
	user["token"] = "TOKEN"
	delete(object, "data")
	object["stringData"] = map[string]any{"kubeconfig": config}
}

// TestJoinDryRun: --dry-run prints exactly what is applied, object by object and in order: for clusters that have nothing, for
// those that have all, and for one that joins itself.
func TestJoinDryRun(t *testing.T) {
	opts1, log1 := seeing(t, controlplane.Options{Name: "c1", ControllerManager: true})
	opts2, log2 := seeing(t, controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}, ControllerManager: true})
	all := controlplane.AllForTest(t, opts1, opts2)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	kit.Must(t, controlplane.MergedKubeconfig(kubeconfig, all...))

	for _, c := range []struct {
		from              string
		kindsThere, kinds string // those that nobody would miss otherwise
	}{
		{"c1", "CustomResourceDefinition CustomResourceDefinition Namespace ClusterRole", "CustomResourceDefinition CustomResourceDefinition Namespace Secret"},
		{"c1", "ClusterRole", "Secret"},
		{"c2", "ClusterRole", "Secret"},
	} {
		join := []string{"join", c.from, "--from", c.from, "--kubeconfig", kubeconfig, "--context", "c2", "--crds", "--endpoint-cidrs", "10.1.0.0/16"}
		before1, before2 := len(seen(t, log1)), len(seen(t, log2))
		dry := mcsctl(t, append(join, "--dry-run")...)
		dry.wants(t, 0, "the cluster that joins")
		if len(seen(t, log1)) != before1 || len(seen(t, log2)) != before2 {
			t.Error("a dry run applied something")
		}
		there, home := printed(t, dry.out)
		mcsctl(t, join...).wants(t, 0, "is a member now")
		got := append(seen(t, log1)[before1:], seen(t, log2)[before2:]...)
		want := append(there, home...)
		for _, object := range append(append([]map[string]any{}, got...), want...) {
			alike(t, object)
		}
		if !strings.HasPrefix(kindsOf(there), c.kindsThere) || kindsOf(home) != c.kinds {
			t.Errorf("joining %s, printed is %s, and at home %s", c.from, kindsOf(there), kindsOf(home))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("joining %s, printed is %s, applied %s; they differ", c.from, kindsOf(want), kindsOf(got))
		}
	}
}

func kindsOf(objects []map[string]any) string {
	kinds := make([]string, len(objects))
	for i, object := range objects {
		kinds[i], _ = object["kind"].(string)
	}
	return strings.Join(kinds, " ")
}
