package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/clusterset/multicluster/test/clusterset"
)

// kubelet does, for the node of a cluster, two more of a kubelet's duties than the node agent: ports of pods are forwarded,
// through the real API server, and what changes in the ConfigMap of CoreDNS reaches its pod.
type kubelet struct {
	t       *testing.T
	cluster *clusterset.Cluster
}

// startKubelet runs it until the test ends.
func startKubelet(t *testing.T, c *clusterset.Cluster) {
	t.Helper()
	k := &kubelet{t, c}
	server := httptest.NewTLSServer(k)
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	must(t, err)
	port, err := strconv.Atoi(address.Port())
	must(t, err)
	// The API server runs on this machine's loopback, outside of the cluster's network.
	status := map[string]any{
		"addresses":       []map[string]any{{"type": corev1.NodeHostName, "address": address.Hostname()}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	must(t, err)
	_, err = c.Client.CoreV1().Nodes().Patch(t.Context(), c.Node.Name(), types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	must(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.refresh(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// ServeHTTP forwards ports: POST /portForward/NAMESPACE/POD, whereupon each connection is a pair of streams.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "portForward" {
		http.NotFound(w, r)
		return
	}
	pod, err := k.cluster.Client.CoreV1().Pods(parts[1]).Get(r.Context(), parts[2], metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return // the reply is written
	}
	streams := make(chan httpstream.Stream, 2)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	pairs := map[string]map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if pairs[id] == nil {
				pairs[id] = map[string]httpstream.Stream{}
			}
			pairs[id][s.Headers().Get(corev1.StreamType)] = s
			if len(pairs[id]) == 2 {
				go k.connect(pod.Status.PodIP, pairs[id][corev1.StreamTypeData], pairs[id][corev1.StreamTypeError])
			}
		}
	}
}

// connect joins a stream to a port of a pod, from the pod's node.
func (k *kubelet) connect(ip string, data, complaint httpstream.Stream) {
	defer complaint.Close()
	defer data.Close()
	target, err := k.cluster.Node.Dial(context.Background(), "tcp", net.JoinHostPort(ip, data.Headers().Get(corev1.PortHeader)))
	if err != nil {
		fmt.Fprint(complaint, err)
		return
	}
	defer target.Close()
	go func() {
		_, _ = io.Copy(target, data) // either side may hang up
		_ = target.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(data, target)
}

// refresh writes the Corefile into the pods of the stock CoreDNS whenever its ConfigMap changes.
func (k *kubelet) refresh(ctx context.Context) {
	selector := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, "coredns").String()}
	watch, err := k.cluster.Client.CoreV1().ConfigMaps(metav1.NamespaceSystem).Watch(ctx, selector)
	if err != nil {
		k.t.Errorf("watching the Corefile: %v", err)
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
				k.place(ctx, m.Data["Corefile"])
			}
		}
	}
}

func (k *kubelet) place(ctx context.Context, corefile string) {
	pods, err := k.cluster.ReadyPods(ctx, metav1.NamespaceSystem, "k8s-app=kube-dns", 1)
	if err != nil {
		return // the test is over
	}
	shell, err := k.cluster.Shell(metav1.NamespaceSystem, pods[0].Name)
	if err != nil {
		return
	}
	command := shell.Command(ctx, "sh", "-c", "cat >/etc/coredns/Corefile")
	command.Stdin = strings.NewReader(corefile)
	if out, err := command.CombinedOutput(); err != nil && ctx.Err() == nil {
		k.t.Errorf("placing the Corefile: %v: %s", err, out)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
