package members

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// TestExpand_X6: references to variables are replaced once, as Kubernetes does, so that those of somebody else's Deployment, which name
// each other, make nothing large.
func TestExpand_X6(t *testing.T) {
	env := []corev1.EnvVar{
		{Name: "A", Value: strings.Repeat("$(B)", 1000)}, {Name: "B", Value: strings.Repeat("$(C)", 1000)}, {Name: "C", Value: "c"},
	}
	for value, want := range map[string]string{
		"c1": "c1", "x-$(C)-$(C)": "x-c-c", "$(D)": "$(D)", "$(": "$(", strings.Repeat("x", 1<<20): "",
	} {
		if got := expand(value, env, nil); got != want {
			t.Errorf("%.20s: %.20q, want %.20q", value, got, want)
		}
	}
	if got := expand("$(A)$(A)", env, nil); len(got) > 2*maxArg || strings.Contains(got, "c") {
		t.Errorf("%d bytes: %.20q", len(got), got)
	}
}

// TestOf_X2: a server that answers with other objects than it was asked for is not believed.
func TestOf_X2(t *testing.T) {
	service := func(namespace, name string) corev1.Service {
		return corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	list := []corev1.Service{service("shop", "other"), service("other", "cart"), service("shop", "cart")}
	key := types.NamespacedName{Namespace: "shop", Name: "cart"}
	if got := of(key, list); got != &list[2] {
		t.Errorf("got %v", got)
	}
	if got := of(key, list[:2]); got != nil {
		t.Errorf("got %v", got)
	}
}

// TestSettings_X2: an id that no cluster can have is none.
func TestSettings_X2(t *testing.T) {
	for arg, want := range map[string]string{"--self=c1": "c1", "--self=$(id)": "", "--self=a;id": "", "--self=": ""} {
		d := &appsv1.Deployment{}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "mcs-controller", Args: []string{arg}}}
		if got := settings(d, nil).Self; got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
}
