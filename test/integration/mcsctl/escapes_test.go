package mcsctl

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// painted clears the screen, says that all is well in green, hides what follows, and turns text around.
const painted = "\x1b[2J\x1b[H\x1b[32m\n✔ all is well\n\x1b[0m\x1b[8m\u202e\u009b2K\r\x07\u200b"

// hostileServer is a member's API server that answers everything with text for the terminal of who asks.
func hostileServer(t *testing.T) *httptest.Server {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/version" {
			_ = json.NewEncoder(w).Encode(version.Info{Major: "1", Minor: "36", GitVersion: "v1.36.0" + painted})
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonInternalError, Code: 500, Message: "no" + painted,
		})
	}))
	t.Cleanup(s.Close)
	return s
}

func kubeconfigOf(url string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\n" +
		"clusters: [{name: c, cluster: {server: \"" + url + "\", insecure-skip-tls-verify: true}}]\n" +
		"users: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
}

// TestEscapes: nothing that a member's server or anybody's objects say acts on the terminal, or stands in a line of its own.
func TestEscapes(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	namespace(t, system, c1)
	namespace(t, "shop", c1)
	evil := hostileServer(t)
	file := filepath.Join(t.TempDir(), "evil.kubeconfig")
	kit.Must(t, os.WriteFile(file, []byte(kubeconfigOf(evil.URL)), 0o600))
	_, err := c1.kube.CoreV1().Secrets(system).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "evil", Labels: map[string]string{registration.LabelMember: "evil"}},
		StringData: map[string]string{registration.KeyKubeconfig: kubeconfigOf(evil.URL)},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	c1.service(t, "shop", "web", "10.1.0.5")
	c1.export(t, "shop", "web")
	status, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []metav1.Condition{{
		Type: "Ready", Status: metav1.ConditionFalse, Reason: "Failed", Message: "because" + painted, LastTransitionTime: metav1.Now(),
	}, {Type: "Valid", Status: metav1.ConditionTrue, Reason: "Valid", LastTransitionTime: metav1.Now()}}}})
	kit.Must(t, err)
	kit.Must(t, c1.mcs.Patch(types.MergePatchType).Namespace("shop").Resource("serviceexports").Name("web").SubResource("status").
		Body(status).Do(t.Context()).Error())
	c1.corefile(t, ".:53 {\n  multicluster clusterset.local"+painted+"\n}\n")

	for _, args := range [][]string{
		{"status"}, {"services"}, {"explain", "web.shop", "--no-dns"}, {"check"}, {"join", "evil2", "--from-kubeconfig", file}, {"frob" + painted}, {"explain", painted},
	} {
		for _, format := range []string{"", "json", "yaml"} {
			o := mcsctl(t, append(args, "--kubeconfig", kubeconfig, "--context", "c1", "-o", format)...)
			for _, r := range o.out + o.err {
				if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
					t.Errorf("%v -o %s lets %U through:\n%q", args, format, r, o.out+o.err)
					break
				}
			}
			if o.code == 0 || strings.Contains(o.out+o.err, "\n✔ all is well\n") {
				t.Errorf("%v -o %s: exit code %d, all is said to be well:\n%s%s", args, format, o.code, o.out, o.err)
			}
			if format == "" && !strings.Contains(o.out+o.err, `\x1b[2J`) && !strings.Contains(o.out+o.err, "\ufffd[2J") { // an argument; a text from a server
				t.Errorf("%v shows nothing of what was said:\n%s%s", args, o.out, o.err)
			}
			var data any
			if format == "json" && o.out != "" && json.Unmarshal([]byte(o.out), &data) != nil || format == "yaml" && yaml.Unmarshal([]byte(o.out), &data) != nil {
				t.Errorf("%v -o %s can't be read:\n%s", args, format, o.out)
			}
		}
	}
}
