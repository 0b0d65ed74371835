// Package kubelet does one of a kubelet's duties for the tests of what needs no other: it forwards ports of pods, through a real
// API server.
package kubelet

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
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Dial connects to a port of a pod.
type Dial func(ctx context.Context, pod *corev1.Pod, port string) (net.Conn, error)

// ForwardPorts serves ports of the pods of a node, which is there already, until the test ends. The API server must run on this
// machine's loopback.
func ForwardPorts(t testing.TB, client kubernetes.Interface, node string, dial Dial) {
	t.Helper()
	server := httptest.NewTLSServer(&kubelet{client, dial})
	t.Cleanup(server.Close)
	if err := register(t.Context(), client, node, server.URL); err != nil {
		t.Fatal(err)
	}
}

// register tells the API server where the kubelet of a node listens.
func register(ctx context.Context, client kubernetes.Interface, node, at string) error {
	address, err := url.Parse(at)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"addresses":       []map[string]any{{"type": corev1.NodeHostName, "address": address.Hostname()}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}},
	}})
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

type kubelet struct {
	client kubernetes.Interface
	dial   Dial
}

// ServeHTTP forwards ports: POST /portForward/NAMESPACE/POD, whereupon each connection is a pair of streams.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "portForward" {
		http.NotFound(w, r)
		return
	}
	pod, err := k.client.CoreV1().Pods(parts[1]).Get(r.Context(), parts[2], metav1.GetOptions{})
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
				go k.connect(pod, pairs[id][corev1.StreamTypeData], pairs[id][corev1.StreamTypeError])
			}
		}
	}
}

// connect joins a stream to a port of a pod.
func (k *kubelet) connect(pod *corev1.Pod, data, complaint httpstream.Stream) {
	defer complaint.Close()
	defer data.Close()
	target, err := k.dial(context.Background(), pod, data.Headers().Get(corev1.PortHeader))
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
