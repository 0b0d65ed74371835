package program

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// confidential is what stands in every credential of TestSecretsStaySecret.
const confidential = "c0nf1d3nt1al"

// kubeconfigWith is a kubeconfig that reaches server as user, with more about its cluster.
func kubeconfigWith(server, user, cluster string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true%s}}]
users: [{name: u, user: {%s}}]
`, server, cluster, user)
}

// TestSecretsStaySecret_X1: whatever is wrong with the credentials of members, the log names the Secret, and neither log nor
// metrics hold anything of what is in it, however much is logged.
func TestSecretsStaySecret_X1(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	kit.Must(t, c.InstallCRDs(t.Context()))
	namespace(t, c)
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	encoded := base64.StdEncoding.EncodeToString([]byte(confidential))
	withUser := strings.Replace(c.URL(), "https://", "https://admin:"+confidential+"@", 1)
	bad := map[string]string{
		"token":          kubeconfigWith(c.URL(), "token: "+confidential, ""),
		"token-lines":    kubeconfigWith(c.URL(), `token: "`+confidential+`\nx"`, ""),
		"token-type":     kubeconfigWith(c.URL(), "token: {"+confidential+": x}", ""),
		"password":       kubeconfigWith(c.URL(), "username: admin, password: "+confidential, ""),
		"key-base64":     kubeconfigWith(c.URL(), "client-certificate-data: AAAA, client-key-data: "+confidential+"!", ""),
		"key-pem":        kubeconfigWith(c.URL(), "client-certificate-data: AAAA, client-key-data: "+encoded, ""),
		"exec":           kubeconfigWith(c.URL(), "exec: {apiVersion: client.authentication.k8s.io/v1, command: x, args: ["+confidential+"]}", ""),
		"auth-provider":  kubeconfigWith(c.URL(), "auth-provider: {name: x, config: {secret: "+confidential+"}}", ""),
		"token-file":     kubeconfigWith(c.URL(), "tokenFile: /"+confidential, ""),
		"server-user":    kubeconfigWith(withUser, "token: x", ""),
		"server-garbage": kubeconfigWith("https://admin:"+confidential+"@[::bad/", "token: x", ""),
		"proxy":          kubeconfigWith(c.URL(), "token: x", `, proxy-url: "http://admin:`+confidential+`@127.0.0.1:1"`),
		"proxy-garbage":  kubeconfigWith(c.URL(), "token: x", `, proxy-url: "http://admin:`+confidential+`@[::bad/"`),
		"no-yaml":        "token: " + confidential + "\n\t{",
		"text":           confidential,
	}
	secret := func(name, id string, data map[string][]byte) {
		_, err := kube.CoreV1().Secrets("mcs").Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{registration.LabelMember: id}}, Data: data,
		}, metav1.CreateOptions{})
		kit.Must(t, err)
	}
	for name, content := range bad {
		secret(name, name, map[string][]byte{registration.KeyKubeconfig: []byte(content)})
	}
	secret("other-key", "other-key", map[string][]byte{"config": []byte(confidential)})
	good, err := c.KubeconfigContent(c.URL(), "member", "system:masters")
	kit.Must(t, err)
	secret("good", "good", map[string][]byte{registration.KeyKubeconfig: good})

	p := start(t, "the controller", "-v", "--kubeconfig", c.Kubeconfig(), "--namespace", "mcs")
	kit.True(t, "the good member works", func() bool {
		return p.metric(`mcs_controller_member_synced{cluster="good",role="provider"} 1`)
	})
	for name := range bad {
		kit.True(t, "the log tells what is wrong with "+name, func() bool {
			return p.said("cluster="+name, "err=") != "" || p.said("Secret mcs/"+name, "err=") != ""
		})
	}
	status, metrics := p.get("--metrics-bind-address", "/metrics")
	if status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
	p.mu.Lock()
	told := strings.Join(p.log, "\n") + metrics
	p.mu.Unlock()
	for _, line := range strings.Split(told, "\n") {
		if strings.Contains(line, confidential) || strings.Contains(line, encoded) || strings.Contains(line, "PRIVATE KEY") {
			t.Errorf("told: %s", line)
		}
	}
}
