package clusterset

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/node/agent"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

// ReadyPods waits until exactly count pods that the selector selects exist, terminating ones apart, and all are ready,
// and returns them by name.
func (c *Cluster) ReadyPods(ctx context.Context, namespace, selector string, count int) ([]*corev1.Pod, error) {
	var pods []*corev1.Pod
	err := kit.Await(ctx, func(ctx context.Context) error {
		list, err := c.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err
		}
		pods = pods[:0]
		for i := range list.Items {
			if list.Items[i].DeletionTimestamp != nil {
				continue
			}
			if !isReady(&list.Items[i]) {
				return fmt.Errorf("pod %s/%s of cluster %s is not ready: %s", namespace, list.Items[i].Name, c.Name, why(&list.Items[i]))
			}
			pods = append(pods, &list.Items[i])
		}
		if len(pods) != count {
			return fmt.Errorf("cluster %s has %d pods %s in %s, not %d", c.Name, len(pods), selector, namespace, count)
		}
		return nil
	})
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, err
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func why(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return fmt.Sprintf("%s, its container waits: %s %s", pod.Status.Phase, waiting.Reason, waiting.Message)
		}
	}
	return string(pod.Status.Phase)
}

// SetReady makes a pod unready, or ready again, while it runs on; see [agent.Agent.SetReady].
func (c *Cluster) SetReady(ctx context.Context, namespace, pod string, ready bool) error {
	return c.agent.SetReady(ctx, namespace, pod, ready)
}

// A Shell runs commands in a pod: its network, its resolv.conf, its environment.
type Shell struct {
	Pod       *node.Pod
	container *node.Container
}

// Shell opens one in a running pod.
func (c *Cluster) Shell(namespace, pod string) (*Shell, error) {
	box, running, err := c.agent.Running(namespace, pod)
	if err != nil {
		return nil, err
	}
	network, container, ok := agent.OfNode(box, running)
	if !ok {
		return nil, fmt.Errorf("pod %s/%s has no network: the clusters are without packets", namespace, pod)
	}
	return &Shell{network, container}, nil
}

// PID is a process in the pod, for nsenter(1).
func (s *Shell) PID() int { return s.container.PID() }

// Log returns the end of what the pod's container printed.
func (s *Shell) Log() string { return s.container.Log() }

// Command returns a command that will run in the pod.
func (s *Shell) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return s.container.Command(ctx, name, args...)
}

// Run runs a command in the pod and returns what it printed.
func (s *Shell) Run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := s.Command(ctx, name, args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.String(), nil
}

// Curl fetches a URL with the real curl in the pod, in a new process and so a new connection, and returns which pod
// answered. It may take longer than the resolver's patience with one lost datagram.
func (s *Shell) Curl(ctx context.Context, url string, options ...string) (webdemo.Answer, error) {
	out, err := s.Run(ctx, "curl", append(options, "-sS", "--max-time", "15", url)...)
	if err != nil {
		return webdemo.Answer{}, err
	}
	return webdemo.Parse(out)
}
