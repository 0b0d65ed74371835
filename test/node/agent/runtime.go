package agent

import (
	"context"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/node/container"
)

// A Runtime runs pods: on a real node ([OnNode]), or on paper only ([OnPaper]).
type Runtime interface {
	// NewPod gives a pod its addresses.
	NewPod() (Pod, error)
	// Probe returns nil if the container at ip passes a readiness probe now.
	Probe(ctx context.Context, probe *corev1.Probe, c *corev1.Container, ip netip.Addr) error
	// Down is closed when the node is gone.
	Down() <-chan struct{}
}

// A Pod of a [Runtime] stays until it is closed, whatever its container does.
type Pod interface {
	IPs() []netip.Addr
	Run(spec *container.Spec) (Container, error)
	Close()
}

// A Container of a [Pod].
type Container interface {
	Done() <-chan struct{}
	ExitCode() int // once it is done
	Stop(ctx context.Context, grace time.Duration)
	Kill()
}

// OnNode runs pods on n.
func OnNode(n *node.Node) Runtime { return onNode{n} }

type onNode struct{ *node.Node }

func (r onNode) NewPod() (Pod, error) {
	p, err := r.Node.NewPod()
	if err != nil {
		return nil, err
	}
	return podOnNode{p}, nil
}

func (r onNode) Probe(ctx context.Context, probe *corev1.Probe, c *corev1.Container, ip netip.Addr) error {
	return check(ctx, r.Dial, probe, c, ip)
}

type podOnNode struct{ *node.Pod }

func (p podOnNode) Run(spec *container.Spec) (Container, error) {
	c, err := p.Pod.Run(spec)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// OfNode returns the pod and the container as package node made them; false if they are on paper.
func OfNode(p Pod, c Container) (*node.Pod, *node.Container, bool) {
	pod, ok := p.(podOnNode)
	if !ok {
		return nil, nil, false
	}
	running, ok := c.(*node.Container)
	return pod.Pod, running, ok
}
