package members

import (
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestSettings reads the Deployment that deploy/ has, as it would be in a cluster.
func TestSettings(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "components", "controller", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal(firstDocument(text), &d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config map[string]string
		want   Controller
	}{
		{map[string]string{"self": "c1", "clusterset": "blue", "automatic-imports": "false"}, Controller{Self: "c1", ClusterSet: "blue"}},
		{map[string]string{"self": "", "clusterset": "default", "automatic-imports": "true"}, Controller{ClusterSet: "default", Automatic: true}},
	} {
		got := settings(&d, func(ref *corev1.ConfigMapKeySelector) string { return c.config[ref.Key] })
		if got.Self != c.want.Self || got.ClusterSet != c.want.ClusterSet || got.Automatic != c.want.Automatic || got.Image != "mcs-controller" {
			t.Errorf("%v: got %+v", c.config, got)
		}
	}
}

func firstDocument(text []byte) []byte {
	for i := 0; i+5 <= len(text); i++ {
		if string(text[i:i+5]) == "\n---\n" {
			return text[:i]
		}
	}
	return text
}
