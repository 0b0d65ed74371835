package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/clusterset/multicluster/test/node/container"
)

// A Node is one machine on a [Network]. All methods may be called concurrently.
type Node struct {
	name      string
	addresses Addresses
	inside    string
	netns     *netns
	init      *exec.Cmd
	pidns     *os.File
	down      chan struct{} // closed once every process of the node is gone

	mu    sync.Mutex
	pools []*pool
	wires int
}

// startNode starts process 1 of a node without links.
func startNode(ctx context.Context, inside, name string, addresses Addresses) (*Node, error) {
	n := &Node{name: name, addresses: addresses, inside: inside, down: make(chan struct{})}
	for _, prefix := range addresses.Pods {
		n.pools = append(n.pools, newPool(prefix))
	}
	var err error
	if n.netns, err = newNetns(); err != nil {
		return nil, err
	}
	if err := n.startInit(ctx); err != nil {
		n.netns.close()
		return nil, err
	}
	go func() {
		_ = n.init.Wait() // killed, as it should be
		n.pidns.Close()
		n.netns.close()
		close(n.down)
	}()
	return n, nil
}

func (n *Node) startInit(ctx context.Context) error {
	n.init = exec.Command(n.inside, "init", n.name)
	n.init.Stderr = os.Stderr
	n.init.Env = []string{"PATH=" + os.Getenv("PATH")}
	n.init.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true, // a Ctrl-C in the terminal is for the test, which cleans up
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	// The other end of its standard input closes when this program ends, however that happens.
	if _, err := n.init.StdinPipe(); err != nil {
		return err
	}
	up, err := n.init.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.netns.do(n.init.Start); err != nil {
		return err
	}
	_, err = bufio.NewReader(up).ReadString('\n')
	if err == nil {
		n.pidns, err = os.Open(fmt.Sprintf("/proc/%d/ns/pid", n.init.Process.Pid))
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = n.init.Process.Kill()
		return errors.Join(err, n.init.Wait())
	}
	return nil
}

// Name is the node's host name.
func (n *Node) Name() string { return n.name }

// Addresses are those that the node was started with.
func (n *Node) Addresses() Addresses { return n.addresses }

// PID is the node's process 1; nsenter(1) takes it as a target, and killing it takes the node away.
func (n *Node) PID() int { return n.init.Process.Pid }

// Down is closed once every process of the node has ended.
func (n *Node) Down() <-chan struct{} { return n.down }

// Close pulls the plug: every process of the node ends at once.
func (n *Node) Close() {
	_ = n.init.Process.Kill() // it may be gone already
	<-n.down
}

// Command returns a command that runs on the node. It is killed when ctx is done.
func (n *Node) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return enter(ctx, n.PID(), []string{"PATH=" + os.Getenv("PATH")}, name, args)
}

// Run starts a container in the node's own network, like a pod with hostNetwork.
func (n *Node) Run(spec *container.Spec) (*Container, error) { return n.run(n.netns, spec) }

// Listen opens a listener of this program in the node's network: whom it accepts comes from the node or a pod.
func (n *Node) Listen(address netip.AddrPort) (net.Listener, error) {
	var listener net.Listener
	err := n.netns.do(func() (err error) {
		listener, err = net.Listen("tcp", address.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		<-n.down
		listener.Close()
	}()
	return listener, nil
}

// Dial connects this program to an address, which must be a literal one, as the node would.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.netns.dial(ctx, network, address)
}

func (ns *netns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("only literal addresses can be dialled from a namespace: %w", err)
	}
	var conn net.Conn
	err := ns.do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func nodad(a netip.Addr) string {
	if a.Is6() {
		return " nodad" // see routing
	}
	return ""
}
