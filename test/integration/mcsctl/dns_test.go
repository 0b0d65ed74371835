package mcsctl

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"
)

// TestExplainAsksDNS: what explain says of DNS is what the real CoreDNS answers, with the directive and without.
func TestExplainAsksDNS(t *testing.T) {
	list, _ := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	const ns = "shop"
	namespace(t, ns, c1)
	c1.service(t, ns, "cart", "10.1.0.5")
	c1.export(t, ns, "cart")
	namespace(t, system, c1)
	run(t, c1, true)
	explain := []string{"explain", "_http._tcp.cart.shop.svc.clusterset.local", "--cluster", "c1=" + c1.Kubeconfig(), "--dns"}

	with := serveDNS(t, "multicluster clusterset.local {\n kubeconfig "+c1.Kubeconfig()+"\n}")
	eventuallyWell(t, append(explain, with)...).golden(t, "explain-dns")
	without := serveDNS(t, "whoami")
	mcsctl(t, append(explain, without)...).golden(t, "explain-dns-without")
	kubernetes := serveDNS(t, "kubernetes clusterset.local {\n kubeconfig "+c1.Kubeconfig()+"\n}")
	kit.Eventually(t, "kubernetes takes the zone for one of the cluster", func() error {
		if o := mcsctl(t, append(explain, kubernetes)...); o.code != 1 || !strings.Contains(o.out, "the plugin kubernetes answers for the zone") {
			return errText(o.out)
		}
		return nil
	})
	mcsctl(t, append(explain, kubernetes)...).golden(t, "explain-dns-kubernetes")
	nobody := silent(t)
	mcsctl(t, append(explain, nobody, "--timeout", "2s")...).wants(t, 1, "dns: "+nobody+" did not answer within 2 s")
}

// serveDNS runs CoreDNS with a directive on a free port, and returns its address.
func serveDNS(t *testing.T, directive string) string {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	kit.Must(t, err)
	corefile := filepath.Join(t.TempDir(), "Corefile")
	kit.Must(t, os.WriteFile(corefile, fmt.Appendf(nil, ".:%s {\n bind 127.0.0.1\n %s\n}\n", port, directive), 0o600))
	coreDNS(t, corefile, address)
	return address
}

// coreDNS runs it with a Corefile by which it listens at address.
func coreDNS(t *testing.T, corefile, address string) {
	t.Helper()
	built, err := programs.Build(t.Context(), os.Stderr, "cmd/coredns")
	kit.Must(t, err)
	cmd := exec.Command(built[0], "-conf", corefile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	kit.Must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	kit.Eventually(t, "CoreDNS listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	kit.Must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// TestExplainPod_D3_D5: what explain says of a pod's own name is what the real CoreDNS answers.
func TestExplainPod_D3_D5(t *testing.T) {
	list, _ := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	const ns = "shop"
	namespace(t, ns, c1)
	namespace(t, system, c1)
	_, err := c1.kube.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "db"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	_, err = c1.kube.DiscoveryV1().EndpointSlices(ns).Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: ns, Name: "db-x", Labels: map[string]string{discoveryv1.LabelServiceName: "db"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.1.0.5"}, Hostname: ptr.To("db-0")},
			{Addresses: []string{"10.1.0.6"}, Hostname: ptr.To("db-1"), Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}},
			{Addresses: []string{"10.1.0.7"}},
		},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	c1.export(t, ns, "db")
	run(t, c1, true)
	dns := serveDNS(t, "multicluster clusterset.local {\n kubeconfig "+c1.Kubeconfig()+"\n}")
	explain := func(sub string) []string {
		return []string{"explain", sub + "db.shop.svc.clusterset.local", "--cluster", "c1=" + c1.Kubeconfig(), "--dns", dns}
	}
	eventuallyWell(t, explain("")...)
	mcsctl(t, explain("db-0.c1.")...).golden(t, "explain-pod")
	mcsctl(t, explain("10-1-0-7.c1.")...).wants(t, 0, "10-1-0-7 of c1 has 10.1.0.7")
	mcsctl(t, explain("db-1.c1.")...).golden(t, "explain-pod-unready")
	for sub, want := range map[string]string{
		"db-9.c1.": "no endpoint of c1 has the hostname db-9; there are 10-1-0-7, db-0",
		"db-0.c9.": "no endpoints here are from a cluster with the id c9",
		"db-0.":    "db-0 is not the id of a cluster with endpoints here",
		"c1.":      "c1 is a cluster, whose pods have no common name",
	} {
		o := mcsctl(t, explain(sub)...)
		o.wants(t, 1, want)
		o.wants(t, 1, ", as it should")
	}
}
