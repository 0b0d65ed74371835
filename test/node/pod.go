package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/clusterset/multicluster/test/node/container"
)

// A Pod is a network namespace with an address of each of the node's families, in which containers run. It stays when
// they end.
type Pod struct {
	node  *Node
	netns *netns
	wire  string
	ips   []netip.Addr
}

// Every pod's next hop, which only the pod at the other end of the wire can see.
var gateways = map[Family]string{IPv4: "169.254.1.1", IPv6: "fe80::1"}

// NewPod gives a pod its network.
func (n *Node) NewPod() (*Pod, error) {
	ns, err := newNetns()
	if err != nil {
		return nil, err
	}
	p := &Pod{node: n, netns: ns}
	n.mu.Lock()
	n.wires++
	p.wire = fmt.Sprintf("pod%d", n.wires)
	for _, pool := range n.pools {
		p.ips = append(p.ips, pool.take())
	}
	n.mu.Unlock()
	if err := p.connect(); err != nil {
		p.Close()
		return nil, fmt.Errorf("connecting a pod to %s: %w", n.name, err)
	}
	return p, nil
}

// connect lays a wire from the node to the pod. There is no bridge: every packet between two pods is routed, so that
// kube-proxy's rules see all of them.
func (p *Pod) connect() error {
	node := []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", p.wire, p.netns.path()),
		fmt.Sprintf("link set %s up", p.wire),
	}
	pod := []string{"link set eth0 up"}
	var routes []string
	for i, ip := range p.ips {
		gateway := gateways[FamilyOf(ip)]
		node = append(node, fmt.Sprintf("address add %s/%d dev %s%s", gateway, ip.BitLen(), p.wire, nodad(ip)))
		pod = append(pod, fmt.Sprintf("address add %s/%d dev eth0%s", ip, ip.BitLen(), nodad(ip)))
		if ip.Is4() {
			pod = append(pod, fmt.Sprintf("route add %s dev eth0 scope link", gateway))
		}
		pod = append(pod, fmt.Sprintf("route add default via %s dev eth0", gateway))
		routes = append(routes, fmt.Sprintf("route add %s dev %s src %s", ip, p.wire, p.node.addresses.Node[i]))
	}
	if err := p.node.netns.ip(node...); err != nil {
		return err
	}
	if err := p.netns.ip(pod...); err != nil {
		return err
	}
	return p.node.netns.ip(routes...)
}

// IPs are the pod's addresses, one per family of the cluster, in its order.
func (p *Pod) IPs() []netip.Addr { return p.ips }

// Run starts a container in the pod's network.
func (p *Pod) Run(spec *container.Spec) (*Container, error) { return p.node.run(p.netns, spec) }

// Dial connects this program to an address, which must be a literal one, as a program in the pod would.
func (p *Pod) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return p.netns.dial(ctx, network, address)
}

// Close takes the pod's network away. Its containers should have ended.
func (p *Pod) Close() {
	_ = p.node.netns.ip("link delete " + p.wire) // gone already if the node is
	p.netns.close()
	p.node.mu.Lock()
	defer p.node.mu.Unlock()
	for i, pool := range p.node.pools {
		pool.give(p.ips[i])
	}
}
