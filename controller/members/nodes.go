package members

import (
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/mirror"
)

// nodeKind watches a consumer's nodes for their addresses, and keeps nothing else of them: no endpoint of another cluster can
// have one (SPEC X2). Their pod ranges are not used: what spec.podCIDR says is not what pods get in many networks.
func nodeKind(kube kubernetes.Interface) mirror.Kind[*corev1.Node] {
	return mirror.Kind[*corev1.Node]{
		Resource: "nodes", ClusterWide: true,
		Source: resource(kube.CoreV1().RESTClient(), "nodes", ""),
		Trim:   func(n *corev1.Node) { *n = *keep.Node(n) },
	}
}

// nodesKnown says whether the addresses of the nodes are known, or won't be: a cluster that does not permit the question is
// served all the same, as one of a release that did not ask.
func (c *connection) nodesKnown() bool {
	state := c.nodes.State()
	return state.Synced || apierrors.IsForbidden(state.Err)
}

// nodeChanged lets all imports of the cluster be looked at again when the addresses of a node are others.
func (c *connection) nodeChanged(before, after *corev1.Node) {
	if before != nil && after != nil && slices.Equal(before.Status.Addresses, after.Status.Addresses) {
		return
	}
	c.nodeAddresses.forget()
	c.member.handler.ConsumerChanged(c.member)
}

// nodeAddresses are the addresses of a cluster's nodes. The zero value is ready for use.
type nodeAddresses struct {
	mu  sync.Mutex
	set map[netip.Addr]bool // nil where it has to be made; never changed
}

func (n *nodeAddresses) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set = nil
}

// of returns the addresses of the nodes in a store. The map must not be changed.
func (n *nodeAddresses) of(nodes *mirror.Store[*corev1.Node]) map[netip.Addr]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.set == nil {
		n.set = map[netip.Addr]bool{}
		nodes.Each(func(_ types.NamespacedName, node *corev1.Node) {
			for _, a := range node.Status.Addresses {
				if addr, err := netip.ParseAddr(a.Address); err == nil {
					n.set[addr] = true
				}
			}
		})
	}
	return n.set
}

// NodeAddresses returns the addresses of the cluster's nodes, where it tells them. The map must not be changed.
func (m *Member) NodeAddresses() map[netip.Addr]bool {
	if c := m.conn.Load(); c != nil {
		return c.nodeAddresses.of(c.nodes.Store)
	}
	return nil
}
