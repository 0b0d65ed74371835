package mcsctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/cmd/mcsctl/command"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"
)

// token is that of an administrator, which passes whatever stands in front of the API server.
func (c *cluster) token(t *testing.T) string {
	t.Helper()
	const name = "person"
	accounts := c.kube.CoreV1().ServiceAccounts(metav1.NamespaceSystem)
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	kit.Must(t, err)
	_, err = c.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: name}},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	issued, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	kit.Must(t, err)
	return issued.Status.Token
}

// kubeconfigBy writes a kubeconfig that takes a path to a cluster with a token.
func kubeconfigBy(t *testing.T, path clientcmdapi.Cluster, token string) string {
	t.Helper()
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"], cfg.AuthInfos["u"] = &path, &clientcmdapi.AuthInfo{Token: token}
	cfg.Contexts["c"], cfg.CurrentContext = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}, "c"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	kit.Must(t, clientcmd.WriteToFile(*cfg, file))
	return file
}

// balancer stands in front of a cluster's API server, with a certificate of its own, for 127.0.0.1 and example.com.
func balancer(t *testing.T, c *cluster) (address string, ca []byte) {
	t.Helper()
	return serveTLS(t, passOn(t, c))
}

func serveTLS(t *testing.T, handler http.Handler) (address string, ca []byte) {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	return s.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// passOn passes requests on to a cluster's API server.
func passOn(t *testing.T, c *cluster) http.Handler {
	t.Helper()
	to, err := url.Parse(c.URL())
	kit.Must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Config().CAData)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return proxy
}

// connectProxy is a proxy by which every address leads to this machine, and counts who comes.
func connectProxy(t *testing.T) (address string, passed *atomic.Int64) {
	t.Helper()
	passed = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, port, err := net.SplitHostPort(r.Host)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, "want CONNECT", http.StatusMethodNotAllowed)
			return
		}
		to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		passed.Add(1)
		w.WriteHeader(http.StatusOK)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = to.Close()
			return
		}
		go func() { _, _ = io.Copy(to, conn); _ = to.Close() }()
		go func() { _, _ = io.Copy(conn, to); _ = conn.Close() }()
	}))
	t.Cleanup(s.Close)
	return s.URL, passed
}

// TestJoinKeepsThePath: what a kubeconfig says of the path to its API server is what is registered, and what the controller takes.
func TestJoinKeepsThePath(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true, SANs: []string{"c1.internal"}},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	token, ownCA := c1.token(t), c1.Config().CAData
	front, frontCA := balancer(t, c1)
	proxy, passed := connectProxy(t)
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	kit.Must(t, os.WriteFile(caFile, frontCA, 0o600))
	port := c1.URL()[strings.LastIndex(c1.URL(), ":"):]
	local := strings.Replace(front, "127.0.0.1", "localhost", 1)

	for _, c := range []struct {
		name        string
		given, want clientcmdapi.Cluster
		flags       []string
	}{
		{name: "a CA other than the cluster's", given: clientcmdapi.Cluster{Server: front, CertificateAuthorityData: frontCA}},
		{name: "a CA in a file", given: clientcmdapi.Cluster{Server: front, CertificateAuthority: caFile},
			want: clientcmdapi.Cluster{Server: front, CertificateAuthorityData: frontCA}},
		{name: "insecure-skip-tls-verify", given: clientcmdapi.Cluster{Server: local, InsecureSkipTLSVerify: true}},
		{name: "tls-server-name", given: clientcmdapi.Cluster{Server: local, CertificateAuthorityData: frontCA, TLSServerName: "example.com"}},
		{name: "--server, where the API server itself is", given: clientcmdapi.Cluster{Server: local, CertificateAuthorityData: frontCA, TLSServerName: "example.com"},
			want: clientcmdapi.Cluster{Server: c1.URL(), CertificateAuthorityData: ownCA}, flags: []string{"--server", c1.URL()}},
		{name: "--server, with the kubeconfig's CA", given: clientcmdapi.Cluster{Server: local, CertificateAuthorityData: frontCA, TLSServerName: "example.com"},
			want: clientcmdapi.Cluster{Server: front, CertificateAuthorityData: frontCA, TLSServerName: "example.com"}, flags: []string{"--server", front}},
		{name: "proxy-url", given: clientcmdapi.Cluster{Server: "https://c1.internal" + port, CertificateAuthorityData: ownCA, ProxyURL: proxy}, flags: []string{"--server", ""}}, // what an earlier case said
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want.Server == "" {
				c.want = c.given
			}
			args := append([]string{"join", "c1", "--from-kubeconfig", kubeconfigBy(t, c.given, token), "--kubeconfig", kubeconfig, "--context", "c2"}, c.flags...)
			mcsctl(t, args...).wants(t, 0, "c1 is a member now")
			c2.registers(t, c.want)
		})
	}

	before := passed.Load()
	namespace(t, "shop", c1, c2)
	c1.service(t, "shop", "web", "10.1.0.5")
	c1.export(t, "shop", "web")
	run(t, c2, true)
	eventuallyWell(t, "explain", "web.shop", "--no-dns", "--kubeconfig", kubeconfig, "--context", "c2")
	if passed.Load() == before {
		t.Error("nothing went through the registered proxy")
	}
}

// registers holds the path that a cluster's registration of c1 has.
func (c *cluster) registers(t *testing.T, want clientcmdapi.Cluster) {
	t.Helper()
	s, err := c.kube.CoreV1().Secrets(system).Get(t.Context(), "c1", getOptions)
	kit.Must(t, err)
	if reg := registration.Registered(s); reg.Err != nil {
		t.Errorf("a controller would not take it: %v", reg.Err)
	}
	cfg, err := clientcmd.Load(s.Data[registration.KeyKubeconfig])
	kit.Must(t, err)
	got := cfg.Clusters[cfg.Contexts[cfg.CurrentContext].Cluster]
	if got.Server != want.Server || got.ProxyURL != want.ProxyURL || got.InsecureSkipTLSVerify != want.InsecureSkipTLSVerify ||
		got.TLSServerName != want.TLSServerName || string(got.CertificateAuthorityData) != string(want.CertificateAuthorityData) {
		t.Errorf("registered is %+v\nwant %+v", got, want)
	}
}

// TestJoinWithPublicCertificate: where the kubeconfig names no CA, its server has a certificate that everybody's roots verify, and
// the cluster's own CA would not. The roots are those of a process, so mcsctl is one of its own here.
func TestJoinWithPublicCertificate(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	front, frontCA := balancer(t, list[0])
	roots := filepath.Join(t.TempDir(), "roots.pem")
	kit.Must(t, os.WriteFile(roots, frontCA, 0o600))
	built, err := programs.Build(t.Context(), os.Stderr, "cmd/mcsctl")
	kit.Must(t, err)
	from := kubeconfigBy(t, clientcmdapi.Cluster{Server: front}, list[0].token(t))
	cmd := exec.CommandContext(t.Context(), built[0], "join", "c1", "--from-kubeconfig", from, "--kubeconfig", kubeconfig, "--context", "c2")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+roots)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	list[1].registers(t, clientcmdapi.Cluster{Server: front})
}

// ours are the objects of a cluster that joining creates.
func (c *cluster) ours(t *testing.T) (names []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.Binaries().Dir, "kubectl"), "--kubeconfig", c.Kubeconfig(), "get",
		"namespaces,clusterroles,clusterrolebindings,rolebindings,serviceaccounts,secrets,customresourcedefinitions", "-A", "--no-headers",
		"-o", "custom-columns=:kind,:metadata.namespace,:metadata.name")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "mcs") || strings.Contains(line, "multicluster") {
			names = append(names, strings.Join(strings.Fields(line), " "))
		}
	}
	return names
}

// interrupt is a standard error at which a person presses Ctrl-C when a text appears.
type interrupt struct {
	at   string
	stop context.CancelFunc
	said strings.Builder
}

// Write implements io.Writer.
func (i *interrupt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.at) {
		i.stop()
	}
	return i.said.Write(p)
}

// TestJoinFailsWithoutTrace_X8: where no API server answers, nothing is created; where something fails later, or somebody
// interrupts it, what was created is deleted, in both clusters. Another cluster's API server is not taken for the one that joins (X4).
func TestJoinFailsWithoutTrace_X8(t *testing.T) {
	all := controlplane.AllForTest(t, controlplane.Options{Name: "c1", ControllerManager: true, AuditLog: true},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := connect(t, all[0]), connect(t, all[1])
	namespace(t, system, c2)
	token := c1.token(t)
	front, _ := balancer(t, c1)
	careless := kubeconfigBy(t, clientcmdapi.Cluster{Server: front, InsecureSkipTLSVerify: true}, token)
	viewer := c2.person(t, "viewer", viewing)
	before := c2.ours(t)
	unchanged := func(t *testing.T) {
		t.Helper()
		if left := c1.ours(t); len(left) > 0 {
			t.Errorf("left in c1: %q", left)
		}
		if now := c2.ours(t); strings.Join(now, "\n") != strings.Join(before, "\n") {
			t.Errorf("left in c2: %q, before %q", now, before)
		}
	}
	join := func(from, home string, more ...string) []string {
		return append([]string{"join", "c1", "--from-kubeconfig", from, "--kubeconfig", home, "--crds", "--wait", "2s"}, more...)
	}
	writes := func() int {
		counts, err := c1.MutatingRequests()
		kit.Must(t, err)
		sum := 0
		for m, n := range counts {
			if strings.HasSuffix(m.User, ":person") || m.User == "admin" {
				sum += n
			}
		}
		return sum
	}

	for name, args := range map[string][]string{
		"nobody is there":           {"--server", "https://127.0.0.1:9"},
		"no API server":             {"--server", notKubernetes(t)},
		"its certificate is bad":    {"--server", strings.Replace(front, "127.0.0.1", "localhost", 1)},
		"nobody is there, dry":      {"--server", "https://127.0.0.1:9", "--dry-run"},
		"no URL":                    {"--server", "127.0.0.1"},
		"a name that nobody serves": {"--server", "https://c1.invalid:6443"},
	} {
		t.Run(name, func(t *testing.T) {
			had := writes()
			mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig(), args...)...).wants(t, 1, "no API server answers there")
			if now := writes(); now != had {
				t.Errorf("%d requests changed something", now-had)
			}
		})
	}
	t.Run("its Services have the addresses of others' pods", func(t *testing.T) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{PodCIDR: "10.96.4.0/24", PodCIDRs: []string{"10.96.4.0/24"}}}
		_, err := c2.kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
		kit.Must(t, err)
		mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig())...).wants(t, 1, "the Services of c1 have 10.96.0.0/16, the pods of c2 have 10.96.4.0/24, which overlap")
		kit.Must(t, c2.kube.CoreV1().Nodes().Delete(t.Context(), node.Name, metav1.DeleteOptions{}))
		unchanged(t)
	})
	t.Run("another cluster", func(t *testing.T) {
		mcsctl(t, join(careless, c2.Kubeconfig(), "--server", c2.URL())...).wants(t, 1, "the new identity can't read ServiceExports at "+c2.URL())
		unchanged(t)
	})
	t.Run("another cluster that lets the identity in", func(t *testing.T) { // as a copy does, which has the same keys
		own, other, otherToken := passOn(t, c1), passOn(t, c2), c2.token(t)
		copied, _ := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/namespaces/kube-system" {
				r.Header.Set("Authorization", "Bearer "+otherToken)
				other.ServeHTTP(w, r)
				return
			}
			own.ServeHTTP(w, r)
		}))
		mcsctl(t, join(careless, c2.Kubeconfig(), "--server", copied)...).wants(t, 1, copied+" is not the API server of context c: namespace kube-system has another UID there")
		unchanged(t)
	})
	t.Run("home refuses", func(t *testing.T) {
		o := mcsctl(t, join(c1.Kubeconfig(), viewer)...)
		o.wants(t, 1, `User "viewer" cannot`)
		o.wants(t, 1, "context c1: rolling back, deleted Namespace mcs-system")
		unchanged(t)
	})
	t.Run("home refuses, and somebody uses the namespace by then", func(t *testing.T) {
		stderr := &interrupt{at: "waiting for its token", stop: func() {
			_, err := c1.kube.CoreV1().ConfigMaps(system).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, metav1.CreateOptions{})
			kit.Must(t, err)
		}}
		if code := command.Run(t.Context(), "test", append([]string{"mcsctl"}, join(c1.Kubeconfig(), viewer)...), io.Discard, stderr); code != 1 {
			t.Errorf("exit code %d: %s", code, stderr.said.String())
		}
		if said := stderr.said.String(); !strings.Contains(said, "Namespace mcs-system stays: there is ConfigMap mine in it by now") {
			t.Error(said)
		}
		_, err := c1.kube.CoreV1().ConfigMaps(system).Get(t.Context(), "mine", metav1.GetOptions{})
		kit.Must(t, err)
		kit.Must(t, c1.kube.CoreV1().Namespaces().Delete(t.Context(), system, metav1.DeleteOptions{}))
		kit.Eventually(t, "the namespace is gone", func() error {
			_, err := c1.kube.CoreV1().Namespaces().Get(t.Context(), system, metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("%v", err)
			}
			return nil
		})
		unchanged(t)
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stderr := &interrupt{at: "waiting for its token", stop: stop}
		if code := command.Run(ctx, "test", append([]string{"mcsctl"}, join(c1.Kubeconfig(), c2.Kubeconfig())...), io.Discard, stderr); code != 1 {
			t.Errorf("exit code %d: %s", code, stderr.said.String())
		}
		unchanged(t)
	})
	t.Run("once more, without trying", func(t *testing.T) {
		o := mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig(), "--server", "https://c1.invalid:6443", "--unchecked")...)
		o.wants(t, 0, "c1 is registered; whether the controller reaches https://c1.invalid:6443 was not checked")
		c2.registers(t, clientcmdapi.Cluster{Server: "https://c1.invalid:6443", CertificateAuthorityData: c1.Config().CAData})
	})
	t.Run("again, with what was said before", func(t *testing.T) {
		mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig())...).wants(t, 0, "whether the controller reaches https://c1.invalid:6443 was not checked")
		mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig(), "--unchecked=false")...).wants(t, 1, "no API server answers there")
	})
	mcsctl(t, join(c1.Kubeconfig(), c2.Kubeconfig(), "--server", "", "--unchecked")...).wants(t, 2, "--unchecked is about the address of --server; want both")
}

// viewing is what somebody needs to look for members, who may register none.
const viewing = `
- {apiGroups: ["", apps, networking.k8s.io, apiextensions.k8s.io], resources: [secrets, namespaces, deployments, nodes, servicecidrs, customresourcedefinitions], verbs: [get, list]}
- {apiGroups: [multicluster.x-k8s.io], resources: ["*"], verbs: [get, list]}
`

// person returns a kubeconfig of somebody who may do in the whole cluster what rules, a list in YAML, allow.
func (c *cluster) person(t *testing.T, name, rules string) (kubeconfig string) {
	t.Helper()
	kit.Must(t, c.ApplyYAML(t.Context(), fmt.Appendf(nil, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules:%[2]s---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, name, rules)))
	kubeconfig, err := c.KubeconfigFor(name)
	kit.Must(t, err)
	return kubeconfig
}

// notKubernetes is a server of something else.
func notKubernetes(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"hello":"you"}`) }))
	t.Cleanup(s.Close)
	return s.URL
}
