package controlplane

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// TestClusters starts two clusters at once and looks at what they are.
func TestClusters(t *testing.T) {
	start := time.Now()
	clusters := AllForTest(t,
		Options{
			Name:              "east",
			ServiceCIDRs:      []string{"10.97.0.0/16", "fd00:97::/112"},
			PodCIDRs:          []string{"10.98.0.0/25", "fd00:98::/56"},
			ControllerManager: true,
			AuditLog:          true,
		},
		Options{Name: "west", ControllerManager: true, AdvertiseAddress: "192.0.2.10", SANs: []string{"west.example"}})
	t.Logf("two clusters were ready after %s", time.Since(start).Round(100*time.Millisecond))
	east, west := clusters[0], clusters[1]

	t.Run("they are two", func(t *testing.T) { testSeparate(t, east, west) })
	t.Run("kubectl and merged kubeconfig", func(t *testing.T) { testKubectl(t, east, west) })
	t.Run("advertised", func(t *testing.T) { testAdvertised(t, west) })
	t.Run("RBAC is on", func(t *testing.T) { testRBAC(t, west) })
	t.Run("dual-stack service", func(t *testing.T) { testDualStack(t, east) })
	t.Run("a deployment gets endpoint slices", func(t *testing.T) { testDeployment(t, east) })
	t.Run("a deleted namespace goes", func(t *testing.T) { testNamespaceGoes(t, west) })
	t.Run("mutating requests", func(t *testing.T) { testMutatingRequests(t, east) })
	t.Run("no audit log", func(t *testing.T) {
		if _, err := west.MutatingRequests(); err == nil || !strings.Contains(err.Error(), "Options.AuditLog") {
			t.Errorf("MutatingRequests without an audit log gave error %v, which should say how to get one", err)
		}
	})
}

func testSeparate(t *testing.T, east, west *Cluster) {
	createNamespace(t, east, "only-east")
	_, err := clientFor(t, west.Config()).CoreV1().Namespaces().Get(t.Context(), "only-east", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a namespace of one cluster, asked for in the other, gave error %v, want not found", err)
	}
	// East's CA and identities are nothing to west.
	foreign := east.Config()
	foreign.Host = west.URL()
	_, err = clientFor(t, foreign).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("calling one cluster with the credentials of the other gave error %v", err)
	}
}

func testKubectl(t *testing.T, east, west *Cluster) {
	merged := filepath.Join(t.TempDir(), "kubeconfig")
	if err := MergedKubeconfig(merged, west, east); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, kubeconfig, context, host string }{
		{"own", east.Kubeconfig(), "east", east.URL()},
		{"current context of merged", merged, "", west.URL()},
		{"other context of merged", merged, "east", east.URL()},
	} {
		out := kubectl(t, east, "--kubeconfig="+test.kubeconfig, "--context="+test.context, "cluster-info")
		if !strings.Contains(out, test.host) {
			t.Errorf("%s: kubectl cluster-info says %q, not %s", test.name, out, test.host)
		}
	}
	version, err := east.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	out := kubectl(t, east, "--kubeconfig="+merged, "version")
	if want := "Server Version: " + version; version != readVersion(t) || !strings.Contains(out, want) {
		t.Errorf("the server says it is %s, kubectl says %q, want both %s", version, out, readVersion(t))
	}
	if err := MergedKubeconfig(merged, west, west); err == nil {
		t.Error("two clusters of one name were merged into one kubeconfig")
	}
}

// readVersion returns the version that is pinned.
func readVersion(t *testing.T) string {
	t.Helper()
	src, err := readSource("binaries")
	if err != nil {
		t.Fatal(err)
	}
	return src.version
}

func testAdvertised(t *testing.T, c *Cluster) {
	for _, name := range []string{"west.example", "192.0.2.10", "10.96.0.1", "kubernetes.default.svc"} {
		cfg := c.Config()
		cfg.ServerName = name // the certificate is checked for it
		if _, err := clientFor(t, cfg).Discovery().ServerVersion(); err != nil {
			t.Errorf("calling the API server %s: %v", name, err)
		}
	}
	client := clientFor(t, c.Config())
	eventually(t, func(ctx context.Context) error {
		slice, err := client.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		if err == nil && (len(slice.Endpoints) != 1 || slice.Endpoints[0].Addresses[0] != "192.0.2.10") {
			err = fmt.Errorf("its endpoints are %v", slice.Endpoints)
		}
		return err
	})
	const proxied = "https://192.0.2.20:443"
	kubeconfig, err := c.KubeconfigContent(proxied, "system:kube-proxy")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil || cfg.Host != proxied {
		t.Errorf("a kubeconfig for %s leads to %s, error %v", proxied, cfg.Host, err)
	}
}

func testRBAC(t *testing.T, c *Cluster) {
	pods := func(cfg *rest.Config) error {
		_, err := clientFor(t, cfg).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := pods(c.ConfigFor("stranger", "nobodies")); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger who lists pods gets error %v, want forbidden", err)
	}
	anonymous := rest.AnonymousClientConfig(c.Config())
	if err := pods(anonymous); !apierrors.IsUnauthorized(err) {
		t.Errorf("who shows no certificate gets error %v, want unauthorized", err)
	}
	if err := c.ApplyYAML(t.Context(), []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}
`)); err != nil {
		t.Fatal(err)
	}
	// The authorizer learns of the binding through a watch.
	eventually(t, func(context.Context) error { return pods(c.ConfigFor("reader", "readers")) })
	kubeconfig, err := c.KubeconfigFor("reader", "readers")
	if err != nil {
		t.Fatal(err)
	}
	if out := kubectl(t, c, "--kubeconfig="+kubeconfig, "auth", "whoami"); !strings.Contains(out, "readers") {
		t.Errorf("kubectl auth whoami with the kubeconfig of a reader says %q", out)
	}
}

func testDualStack(t *testing.T, c *Cluster) {
	apply(t, c, `
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  ipFamilyPolicy: RequireDualStack
  ports: [{port: 80}]
`)
	svc, err := clientFor(t, c.Config()).CoreV1().Services("default").Get(t.Context(), "both", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ips := svc.Spec.ClusterIPs
	if len(ips) != 2 || !strings.HasPrefix(ips[0], "10.97.") || !strings.HasPrefix(ips[1], "fd00:97::") {
		t.Errorf("the Service has cluster IPs %q, want one of each range, IPv4 first", ips)
	}
}

// testDeployment has the controllers make pods and slices, and plays kubelet.
func testDeployment(t *testing.T, c *Cluster) {
	client := clientFor(t, c.Config())
	apply(t, c, `
apiVersion: v1
kind: Node
metadata: {name: node}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`)
	pod := waitForPod(t, client)
	becomeReady(t, client, pod, "10.98.0.7", "fd00:98::7")
	eventually(t, func(ctx context.Context) error {
		list, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{
			LabelSelector: discoveryv1.LabelServiceName + "=web",
		})
		if err != nil {
			return err
		}
		var have []string
		for _, slice := range list.Items {
			for _, endpoint := range slice.Endpoints {
				have = append(have, fmt.Sprintf("%s %s ready=%t", slice.AddressType, endpoint.Addresses, *endpoint.Conditions.Ready))
			}
		}
		slices.Sort(have)
		if want := []string{"IPv4 [10.98.0.7] ready=true", "IPv6 [fd00:98::7] ready=true"}; !slices.Equal(have, want) {
			return fmt.Errorf("the slices have endpoints %q, want %q", have, want)
		}
		return nil
	})
	eventually(t, func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, "node", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if want := []string{"10.98.0.0/25", "fd00:98::/64"}; !slices.Equal(node.Spec.PodCIDRs, want) {
			return fmt.Errorf("the node has pod CIDRs %q, want %q", node.Spec.PodCIDRs, want)
		}
		return nil
	})
	eventually(t, func(ctx context.Context) error {
		deployment, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		if err == nil && !available(deployment) {
			err = fmt.Errorf("its status is %+v", deployment.Status)
		}
		return err
	})
}

func available(d *appsv1.Deployment) bool {
	return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionTrue
	})
}

func waitForPod(t *testing.T, client kubernetes.Interface) (pod *corev1.Pod) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("there are %d pods", len(pods.Items))
		}
		if err == nil {
			pod = &pods.Items[0]
		}
		return err
	})
	return pod
}

// becomeReady does for pod what the scheduler and kubelet would.
func becomeReady(t *testing.T, client kubernetes.Interface, pod *corev1.Pod, ips ...string) {
	t.Helper()
	pods := client.CoreV1().Pods(pod.Namespace)
	err := pods.Bind(t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name},
		Target:     corev1.ObjectReference{Kind: "Node", Name: "node"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod, err = pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = ips[0]
	for _, ip := range ips {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(),
	}}
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func testNamespaceGoes(t *testing.T, c *Cluster) {
	createNamespace(t, c, "short-lived")
	namespaces := clientFor(t, c.Config()).CoreV1().Namespaces()
	if err := namespaces.Delete(t.Context(), "short-lived", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		ns, err := namespaces.Get(ctx, "short-lived", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there: %v, error %v", ns.Status.Phase, err)
	})
}

func clientFor(t testing.TB, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func createNamespace(t testing.TB, c *Cluster, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := clientFor(t, c.Config()).CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func apply(t testing.TB, c *Cluster, manifest string) {
	t.Helper()
	if err := c.ApplyYAML(t.Context(), []byte(manifest)); err != nil {
		t.Fatal(err)
	}
}

func kubectl(t testing.TB, c *Cluster, args ...string) string {
	t.Helper()
	cmd := c.Binaries().Command(t.Context(), "kubectl", args...)
	cmd.Env = append(cmd.Environ(), "NO_COLOR=1")
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, stderr)
	}
	return string(out)
}

// eventually waits until condition returns nil, and fails the test with its last error when that takes too long.
func eventually(t testing.TB, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := poll(ctx, condition); err != nil {
		t.Fatal(err)
	}
}
