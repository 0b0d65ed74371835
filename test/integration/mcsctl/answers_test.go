package mcsctl

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/kubelet"
)

// stockDNS is the CoreDNS that the pods of a cluster ask: a real one, whose port a kubelet forwards. Its pod has a new Corefile
// when the test says so.
type stockDNS struct {
	cluster       *cluster
	own           string // the address of our CoreDNS
	file, address string
	at            atomic.Value // where its port leads to
	asked         atomic.Int64
}

// dnsPod starts one.
func (c *cluster) dnsPod(t *testing.T) *stockDNS {
	t.Helper()
	s := &stockDNS{cluster: c, own: serveDNS(t, "multicluster clusterset.local {\n kubeconfig "+c.Kubeconfig()+"\n}")}
	s.file, s.address = filepath.Join(t.TempDir(), "Corefile"), freeAddress(t)
	s.at.Store(s.address)
	s.reload(t)
	coreDNS(t, s.file, s.address)
	const node = "node"
	_, err := c.kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{})
	kit.Must(t, err)
	kubelet.ForwardPorts(t, c.kube, node, func(ctx context.Context, _ *corev1.Pod, _ string) (net.Conn, error) {
		s.asked.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.at.Load().(string))
	})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns-1", Labels: map[string]string{"k8s-app": "kube-dns"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "coredns", Image: "coredns"}}},
	}
	pod, err = c.kube.CoreV1().Pods(metav1.NamespaceSystem).Create(t.Context(), pod, metav1.CreateOptions{})
	kit.Must(t, err)
	pod.Status.Phase, pod.Status.Conditions = corev1.PodRunning, []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	_, err = c.kube.CoreV1().Pods(metav1.NamespaceSystem).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	kit.Must(t, err)
	return s
}

// reload gives the pod the Corefile of the ConfigMap, as a kubelet does after a while. It listens on a port of its own, and what is
// to go to the address of our Service goes to our CoreDNS, as kube-proxy would have it.
func (s *stockDNS) reload(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	kit.Must(t, err)
	text := strings.ReplaceAll(s.cluster.corefileNow(t), ":53 {\n", ":"+port+" {\n    bind 127.0.0.1\n")
	service, err := s.cluster.kube.CoreV1().Services("mcs-dns").Get(t.Context(), "coredns-multicluster", getOptions)
	kit.Must(t, err)
	part := s.file + ".part"
	kit.Must(t, os.WriteFile(part, []byte(strings.ReplaceAll(text, service.Spec.ClusterIP, s.own)), 0o600))
	kit.Must(t, os.Rename(part, s.file))
}

// askedTwice waits until the pod was asked twice more.
func (s *stockDNS) askedTwice(t *testing.T) {
	t.Helper()
	before := s.asked.Load()
	kit.Eventually(t, "the pod is asked", func() error {
		if s.asked.Load() < before+2 {
			return errors.New("it is not")
		}
		return nil
	})
}

// silent accepts connections and never says anything, as an address does that nobody has any more.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	kit.Must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}()
	return listener.Addr().String()
}

// TestDNSIsAnswered_X8: mcsctl dns succeeds once every pod of the stock CoreDNS, which is a real one, answers for the zone, and
// --off once none does: then nothing is forwarded to a CoreDNS that somebody deletes. A pod that does not reply, or forwards the
// zone to where nobody is, has not answered.
func TestDNSIsAnswered_X8(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	at := func(args ...string) outcome {
		return mcsctl(t, append(append([]string{"dns"}, args...), "--kubeconfig", kubeconfig, "--context", "c1")...)
	}
	// ends returns what a run comes to, which is begun, and asks, before the pod has its new Corefile.
	ends := func(s *stockDNS, args ...string) outcome {
		t.Helper()
		done := make(chan outcome, 1)
		go func() { done <- at(args...) }()
		s.askedTwice(t)
		select {
		case o := <-done:
			t.Errorf("mcsctl dns %v ended before the pod had its new Corefile: %+v", args, o)
			return o
		default:
		}
		s.reload(t)
		return <-done
	}
	const without = ".:53 {\n    errors\n    forward . 127.0.0.1:9\n    reload 2s 1s\n}\n"
	nobody := silent(t)
	c1.corefile(t, without+"clusterset.local:53 {\n    errors\n    forward . "+nobody+"\n}\n")
	c1.ownDNS(t, "mcs-dns")
	c1.ownDNSReady(t, "mcs-dns")
	stock := c1.dnsPod(t) // which forwards the zone to where our CoreDNS was once
	c1.corefile(t, without)

	stock.at.Store(nobody)
	at("--wait", "2s").wants(t, 1, "not every pod of kube-system/coredns answers: pod coredns-1: it does not reply")
	stock.at.Store(stock.address)
	// It gives up on its upstream after some seconds, as late as those who ask it do.
	at("--wait", "20s").wants(t, 1, "not every pod of kube-system/coredns answers: pod coredns-1")
	ends(stock).wants(t, 0, "is set up to answer for clusterset.local")
	at().wants(t, 0, "has what it needs already")
	at("--off", "--wait", "2s").wants(t, 1, "after 2s a pod of kube-system/coredns still answers: pod coredns-1 says NOERROR of svc.clusterset.local")
	again := ends(stock, "--off") // the block is gone, but the pod still serves it
	again.wants(t, 0, "has no block for clusterset.local that mcsctl dns made; nothing was changed")
	again.wants(t, 0, "context c1 no longer forwards clusterset.local")
	at("--wait", "20s").wants(t, 1, "not every pod of kube-system/coredns answers: pod coredns-1")
}

// TestDNSKeepsEdits_X5: what somebody changed in the block by hand stays, whatever happens to our Service, unless --overwrite is
// given; and the command says so.
func TestDNSKeepsEdits_X5(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	at := func(args ...string) outcome {
		return mcsctl(t, append(append([]string{"dns", "--wait", "0"}, args...), "--kubeconfig", kubeconfig, "--context", "c1")...)
	}
	c1.corefile(t, kubeadm)
	c1.ownDNS(t, "mcs-dns")
	at().wants(t, 0, "added a server block")
	written := c1.corefileNow(t)
	mended := strings.Replace(written, "    forward . 10.", "    template ANY ANY internal\n    forward . 10.", 1)
	if mended == written {
		t.Fatalf("nothing to mend in\n%s", written)
	}
	services := c1.kube.CoreV1().Services("mcs-dns")
	moved, err := services.Get(t.Context(), "coredns-multicluster", getOptions)
	kit.Must(t, err)
	kit.Must(t, services.Delete(t.Context(), moved.Name, metav1.DeleteOptions{}))
	moved.ObjectMeta = metav1.ObjectMeta{Name: moved.Name, Labels: moved.Labels}
	moved.Spec.ClusterIP, moved.Spec.ClusterIPs = "10.96.77.77", []string{"10.96.77.77"}
	_, err = services.Create(t.Context(), moved, metav1.CreateOptions{})
	kit.Must(t, err)

	c1.corefile(t, mended)
	keeps := func(code int, want string, args ...string) {
		t.Helper()
		at(args...).wants(t, code, want)
		if got := c1.corefileNow(t); got != mended {
			t.Errorf("mcsctl dns %v made of what somebody mended\n%s", args, got)
		}
	}
	keeps(0, "somebody changed it; it stays so, --overwrite replaces it")
	keeps(0, "somebody changed it; it stays so, --overwrite replaces it", "--dry-run")
	keeps(1, "somebody changed it, so nothing was changed; --off --overwrite takes it out", "--off")
	keeps(0, "forward . 10.96.77.77", "--overwrite", "--dry-run")
	at("--overwrite").wants(t, 0, "replaced the server block")
	if got := c1.corefileNow(t); strings.Contains(got, "template") || !strings.Contains(got, "forward . 10.96.77.77\n") {
		t.Errorf("with --overwrite the Corefile is\n%s", got)
	}
	c1.corefile(t, mended)
	at("--off", "--overwrite").wants(t, 0, "no longer forwards")
	if got := c1.corefileNow(t); got != kubeadm {
		t.Errorf("with --off --overwrite the Corefile is\n%s", got)
	}
}
