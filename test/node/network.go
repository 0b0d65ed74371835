package node

import (
	"context"
	"fmt"
	"sync"
)

// A Network connects nodes through one router. Create it with [NewNetwork].
type Network struct {
	inside string
	router *netns

	mu    sync.Mutex
	nodes []*Node
}

// NewNetwork returns a network without nodes. inside is the path of the compiled program test/node/inside.
func NewNetwork(inside string) (*Network, error) {
	router, err := newNetns()
	if err != nil {
		return nil, err
	}
	return &Network{inside: inside, router: router}, nil
}

// Close ends every node and takes the router away.
func (w *Network) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		n.Close()
	}
	w.router.close()
}

// AddNode starts a node with the given host name and addresses, and connects it.
func (w *Network) AddNode(ctx context.Context, name string, addresses Addresses) (*Node, error) {
	n, err := startNode(ctx, w.inside, name, addresses)
	if err != nil {
		return nil, fmt.Errorf("starting node %s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.connect(n, len(w.nodes)); err != nil {
		n.Close()
		return nil, fmt.Errorf("connecting node %s: %w", name, err)
	}
	w.nodes = append(w.nodes, n)
	return n, nil
}

// connect lays a wire from the router to n and routes n's pods over it.
func (w *Network) connect(n *Node, number int) error {
	wire := fmt.Sprintf("node%d", number)
	router := []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", wire, n.netns.path()),
		fmt.Sprintf("link set %s up", wire),
	}
	inside := []string{"link set eth0 up"}
	for i, node := range n.addresses.Node {
		bits, gateway := 24, n.addresses.Router[i]
		if node.Is6() {
			bits = 64
		}
		router = append(router, fmt.Sprintf("address add %s/%d dev %s%s", gateway, bits, wire, nodad(node)))
		inside = append(inside, fmt.Sprintf("address add %s/%d dev eth0%s", node, bits, nodad(node)))
		inside = append(inside, fmt.Sprintf("route add default via %s dev eth0", gateway))
	}
	if err := w.router.ip(router...); err != nil {
		return err
	}
	if err := n.netns.ip(inside...); err != nil {
		return err
	}
	// Last: a route needs the wire up at both ends.
	var routes []string
	for i, pods := range n.addresses.Pods {
		routes = append(routes, fmt.Sprintf("route add %s via %s dev %s", pods, n.addresses.Node[i], wire))
	}
	return w.router.ip(routes...)
}
