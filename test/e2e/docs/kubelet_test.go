package docs

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kubelet"
)

// startKubelet does, for the node of a cluster, two more of a kubelet's duties than the node agent, until the test ends: ports of
// pods are forwarded, and what changes in the ConfigMap of CoreDNS reaches its pod.
func startKubelet(t *testing.T, c *clusterset.Cluster) {
	t.Helper()
	kubelet.ForwardPorts(t, c.Client, c.Node.Name(), func(ctx context.Context, pod *corev1.Pod, port string) (net.Conn, error) {
		return c.Node.Dial(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, port))
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { refresh(ctx, t, c) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// refresh writes the Corefile into the pods of the stock CoreDNS whenever its ConfigMap changes.
func refresh(ctx context.Context, t *testing.T, c *clusterset.Cluster) {
	selector := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, "coredns").String()}
	watch, err := c.Client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Watch(ctx, selector)
	if err != nil {
		t.Errorf("watching the Corefile: %v", err)
		return
	}
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-watch.ResultChan():
			if !open {
				return
			}
			if m, ok := event.Object.(*corev1.ConfigMap); ok {
				place(ctx, t, c, m.Data["Corefile"])
			}
		}
	}
}

func place(ctx context.Context, t *testing.T, c *clusterset.Cluster, corefile string) {
	pods, err := c.ReadyPods(ctx, metav1.NamespaceSystem, "k8s-app=kube-dns", 1)
	if err != nil {
		return // the test is over
	}
	shell, err := c.Shell(metav1.NamespaceSystem, pods[0].Name)
	if err != nil {
		return
	}
	command := shell.Command(ctx, "sh", "-c", "cat >/etc/coredns/Corefile")
	command.Stdin = strings.NewReader(corefile)
	if out, err := command.CombinedOutput(); err != nil && ctx.Err() == nil {
		t.Errorf("placing the Corefile: %v: %s", err, out)
	}
}
