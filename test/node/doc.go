// Package node gives tests machines with pods: network namespaces that exchange real packets.
//
// A [Network] is a router. Each [Node] on it is the only node of one cluster, a PID namespace and a network namespace
// that reaches the other nodes and their pods through the router. Each [Pod] is a network namespace routed by its node,
// in which containers run. IPv4 and IPv6 both work everywhere.
//
// Nothing here has a name or an address on the machine itself: namespaces are held open by file descriptors of this
// program, processes of a node die with its process 1, and that ends when this program does. So nothing is left behind,
// not even by SIGKILL. The price is root; [Check] says whether it can be paid.
//
// The package knows nothing of Kubernetes: that is package agent.
package node
