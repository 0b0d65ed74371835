package program

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

const metricsReader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: metrics-reader}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics-reader}
subjects: [{kind: ServiceAccount, namespace: mcs, name: reader}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: controller-reviews}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: controller}]
`

// TestSecureMetrics_X1: with --metrics-secure, metrics are for those whom the cluster lets read them, and the program needs
// no more for that than system:auth-delegator.
func TestSecureMetrics_X1(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	kit.Must(t, c.InstallCRDs(t.Context()))
	namespace(t, c)
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	token := func(account string) string {
		_, err := kube.CoreV1().ServiceAccounts("mcs").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		kit.Must(t, err)
		got, err := kube.CoreV1().ServiceAccounts("mcs").CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		kit.Must(t, err)
		return got.Status.Token
	}
	reader, other := token("reader"), token("other")
	kubeconfig, err := c.KubeconfigFor("controller")
	kit.Must(t, err)
	p := start(t, "the controller", "--metrics-secure", "--kubeconfig", kubeconfig, "--leader-elect=false", "--cluster", "c1="+c.Kubeconfig())
	var address string
	kit.True(t, "it serves metrics", func() bool {
		_, address, _ = strings.Cut(p.said("msg=serving", "flag=--metrics-bind-address "), "address=")
		return address != ""
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	get := func(token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
		kit.Must(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		kit.Must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		kit.Must(t, err)
		return response.StatusCode, string(body)
	}
	if status, _ := get(reader); status != http.StatusInternalServerError {
		t.Errorf("without the right to review: %d", status)
	}
	kit.True(t, "what is missing is said", func() bool { return p.said("level=ERROR", "system:auth-delegator") != "" })
	kit.Must(t, c.ApplyYAML(t.Context(), []byte(metricsReader)))
	kit.True(t, "who may read reads", func() bool {
		status, body := get(reader)
		return status == http.StatusOK && strings.Contains(body, "mcs_controller_members 1")
	})
	for name, tc := range map[string]struct {
		token string
		want  int
	}{"nobody": {"", 401}, "a stranger": {"nonsense", 401}, "somebody": {other, 403}} {
		if status, body := get(tc.token); status != tc.want || strings.Contains(body, "mcs_controller") {
			t.Errorf("%s: %d %s, want %d", name, status, body, tc.want)
		}
	}
	if status, body := p.get("--metrics-bind-address", "/metrics"); status == http.StatusOK || strings.Contains(body, "mcs_controller") {
		t.Errorf("without TLS: %d %s", status, body)
	}
	for _, secret := range []string{reader, other} {
		if p.said(secret) != "" {
			t.Error("a token is in the log")
		}
	}
}

// TestMetricsFlood_X1: who sends made-up tokens from one address, as fast as the connections carry them, does not keep a scraper
// at another from its metrics, not even one whose token was never seen; and costs the cluster few reviews.
func TestMetricsFlood_X1(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	kit.Must(t, c.InstallCRDs(t.Context()))
	namespace(t, c)
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	kit.Must(t, c.ApplyYAML(t.Context(), []byte(metricsReader)))
	_, err = kube.CoreV1().ServiceAccounts("mcs").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{})
	kit.Must(t, err)
	fresh := func() string {
		got, err := kube.CoreV1().ServiceAccounts("mcs").CreateToken(t.Context(), "reader", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		kit.Must(t, err)
		return got.Status.Token
	}
	kubeconfig, err := c.KubeconfigFor("controller")
	kit.Must(t, err)
	p := start(t, "the controller", "--metrics-secure", "--kubeconfig", kubeconfig, "--leader-elect=false", "--cluster", "c1="+c.Kubeconfig())
	var address string
	kit.TrueWithin(t, 60*time.Second, "it serves metrics", func() bool {
		_, address, _ = strings.Cut(p.said("msg=serving", "flag=--metrics-bind-address "), "address=")
		return address != ""
	})
	from := func(ip string) *http.Client {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		}}
	}
	get := func(ctx context.Context, client *http.Client, token string) int {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
		if err != nil {
			return 0
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			return 0
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	kit.TrueWithin(t, 60*time.Second, "who may read reads", func() bool { return get(t.Context(), from("127.0.0.3"), fresh()) == http.StatusOK })

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer func() { stop(); running.Wait() }()
	attacker := from("127.0.0.2")
	var sent atomic.Int64
	for n := range 30 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				get(ctx, attacker, fmt.Sprintf("made-up-%d-%d", n, i))
				sent.Add(1)
			}
		})
	}
	began := time.Now()
	kit.TrueWithin(t, 60*time.Second, "the flood runs", func() bool { return sent.Load() > 60 || time.Since(began) > 5*time.Second })
	for range 3 {
		token, asked := fresh(), time.Now()
		status := get(t.Context(), from("127.0.0.4"), token)
		took := time.Since(asked)
		t.Logf("answered in %v, after %d made-up tokens", took, sent.Load())
		if status != http.StatusOK || took > 3*time.Second {
			t.Errorf("a scraper beside a flood: status %d after %v", status, took)
		}
	}
	seconds := time.Since(began).Seconds()
	stop()
	running.Wait()
	reviews := tokenReviews(t, kube)
	if most := 30 + 2*int(seconds); reviews == 0 || reviews > most {
		t.Errorf("%d reviews for %d made-up tokens in %.0f s, want at most %d", reviews, sent.Load(), seconds, most)
	}
}

// tokenReviews is how many an API server has answered.
func tokenReviews(t *testing.T, kube kubernetes.Interface) (n int) {
	t.Helper()
	text, err := kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	kit.Must(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "apiserver_request_total{") && strings.Contains(line, `resource="tokenreviews"`) {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
			kit.Must(t, err)
			n += int(value)
		}
	}
	return n
}
