package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/need"
	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/node/webdemo"
	"github.com/clusterset/multicluster/test/programs"
)

// patience is for what has to happen; nothing is measured by it.
const patience = time.Minute

var inside = sync.OnceValues(func() (string, error) {
	built, err := programs.Build(context.Background(), io.Discard, "test/node/inside")
	if err != nil {
		return "", err
	}
	return built[0], nil
})

// newNetwork returns a network for one test.
func newNetwork(t *testing.T) *Network {
	t.Helper()
	need.Packets.OrSkip(t)
	program, err := inside()
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewNetwork(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func addNode(t *testing.T, w *Network, number int, families ...Family) *Node {
	t.Helper()
	n, err := w.AddNode(t.Context(), fmt.Sprintf("machine%d", number), Plan(number, families...))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// webPod starts a pod on n with the web demo on ports 8080/TCP and 8053/UDP.
func webPod(t *testing.T, n *Node, name string) (*Pod, *Container) {
	t.Helper()
	p, err := n.NewPod()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Run(&container.Spec{
		Hostname: name,
		Files:    map[string][]byte{"/etc/resolv.conf": []byte("search " + name + "\n")},
		Env:      []string{"PATH=" + os.Getenv("PATH"), "WHO=" + name},
		Web:      &webdemo.Server{Cluster: n.Name(), Pod: name, TCP: []uint16{8080}, UDP: []uint16{8053}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

// output runs a command in a container.
func output(t *testing.T, c *Container, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := c.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Pods of two nodes, and of one, reach each other in both families, and see each other's own addresses.
func TestPacketsBetweenPods(t *testing.T) {
	w := newNetwork(t)
	here, there := addNode(t, w, 0), addNode(t, w, 1)
	client, shell := webPod(t, here, "client")
	neighbour, _ := webPod(t, here, "neighbour")
	remote, _ := webPod(t, there, "remote")

	for _, server := range []struct {
		pod     *Pod
		cluster string
		name    string
	}{{neighbour, "machine0", "neighbour"}, {remote, "machine1", "remote"}, {client, "machine0", "client"}} {
		for i, ip := range server.pod.IPs() {
			t.Run(fmt.Sprintf("%s over %s", server.name, FamilyOf(ip)), func(t *testing.T) {
				address := netip.AddrPortFrom(ip, 8080)
				line := output(t, shell, "curl", "-sS", "--max-time", "60", "http://"+address.String())
				got, err := webdemo.Parse(line)
				if err != nil {
					t.Fatal(err)
				}
				want := webdemo.Answer{Cluster: server.cluster, Pod: server.name, Local: address, Client: got.Client}
				if got != want || got.Client.Addr() != client.IPs()[i] {
					t.Errorf("answered %s, want %s with client address %s", got, want, client.IPs()[i])
				}
			})
			t.Run(fmt.Sprintf("%s over %s UDP", server.name, FamilyOf(ip)), func(t *testing.T) {
				conn, err := client.Dial(t.Context(), "udp", netip.AddrPortFrom(ip, 8053).String())
				if err != nil {
					t.Fatal(err)
				}
				if got := ask(t, conn); got.Pod != server.name || got.Client.Addr() != client.IPs()[i] {
					t.Errorf("answered %s", got)
				}
			})
		}
	}
}

// ask sends one datagram and returns the answer.
func ask(t *testing.T, conn net.Conn) webdemo.Answer {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("who?")); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 1500)
	size, err := conn.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := webdemo.Parse(string(reply[:size]))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// A node of one family has pods of that family only.
func TestSingleStack(t *testing.T) {
	w := newNetwork(t)
	for number, family := range []Family{IPv4, IPv6} {
		n := addNode(t, w, number, family)
		p, c := webPod(t, n, "only")
		if ips := p.IPs(); len(ips) != 1 || FamilyOf(ips[0]) != family {
			t.Fatalf("the pod of a node with %s has %s", family, ips)
		}
		line := output(t, c, "curl", "-sS", "--max-time", "60", "http://"+netip.AddrPortFrom(p.IPs()[0], 8080).String())
		if _, err := webdemo.Parse(line); err != nil {
			t.Error(err)
		}
	}
}

// This program can listen and dial in a node's network.
func TestListenAndDialOnNode(t *testing.T) {
	w := newNetwork(t)
	n := addNode(t, w, 0)
	_, shell := webPod(t, n, "client")
	for _, ip := range n.Addresses().Node {
		listener, err := n.Listen(netip.AddrPortFrom(ip, 0))
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from the harness") })}
		go server.Serve(listener)
		t.Cleanup(func() { server.Close() })
		if got := output(t, shell, "curl", "-sS", "--max-time", "60", "http://"+listener.Addr().String()); got != "from the harness" {
			t.Errorf("got %q", got)
		}
	}
	p, _ := webPod(t, n, "server")
	conn, err := n.Dial(t.Context(), "udp", netip.AddrPortFrom(p.IPs()[0], 8053).String())
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, conn); got.Client.Addr() != n.Addresses().Node[0] {
		t.Errorf("the node asks from %s, want %s", got.Client.Addr(), n.Addresses().Node[0])
	}
	if _, err := n.Dial(t.Context(), "tcp", "localhost:80"); err == nil {
		t.Error("dialled a name, which this program's own resolver would have looked up")
	}
}

// A container has files, a host name and an environment of its own, and its changes stay inside.
func TestContainerIsPrivate(t *testing.T) {
	w := newNetwork(t)
	n := addNode(t, w, 0)
	machines, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Run(&container.Spec{
		Hostname: "alone",
		Files: map[string][]byte{
			"/etc/resolv.conf":                           []byte("mine\n"),
			"/etc/security/deep/er":                      []byte("below a directory of the machine\n"),
			"/etc/new/Corefile":                          []byte("new\n"),
			"/var/run/secrets/kubernetes.io/sa/../token": []byte("token\n"),
		},
		Env:  []string{"PATH=" + os.Getenv("PATH"), "A=b c"},
		Args: []string{"sleep", "infinity"},
	})
	if err != nil {
		t.Fatal(err)
	}
	script := `hostname; echo "$A"; cat /etc/resolv.conf /etc/new/Corefile /etc/security/deep/er /var/run/secrets/kubernetes.io/token
		touch /etc/scratch; grep -c root: /etc/passwd; readlink /proc/self >/dev/null && echo proc
		(echo x >>/etc/passwd) 2>/dev/null || echo "the machine's files are read-only"`
	want := "alone\nb c\nmine\nnew\nbelow a directory of the machine\ntoken\n1\nproc\nthe machine's files are read-only\n"
	if got := output(t, c, "sh", "-c", script); got != want {
		t.Errorf("inside:\n%swant:\n%s", got, want)
	}
	for _, path := range []string{"/etc/scratch", "/etc/new", "/etc/security/deep"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s came to be on the machine", path)
		}
	}
	if now, err := os.ReadFile("/etc/resolv.conf"); err != nil || string(now) != string(machines) {
		t.Errorf("the machine's resolv.conf is now %q (%v)", now, err)
	}
}

// What keeps a container from starting is said by the call that should have started it.
func TestContainerThatCannotStart(t *testing.T) {
	w := newNetwork(t)
	n := addNode(t, w, 0)
	tests := map[string]struct {
		spec container.Spec
		want string
	}{
		"no such program": {container.Spec{Args: []string{"/no/such/program"}}, "/no/such/program"},
		"file elsewhere":  {container.Spec{Args: []string{"true"}, Files: map[string][]byte{"/usr/x": nil}}, "/usr/x"},
		"nothing to run":  {container.Spec{Hostname: "idle"}, "idle"},
		"port taken":      {container.Spec{Web: &webdemo.Server{TCP: []uint16{80, 80}}}, "address already in use"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := n.Run(&test.spec); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

// Stop is a request first: the web demo heeds it, and what does not is killed after the grace.
func TestStop(t *testing.T) {
	w := newNetwork(t)
	n := addNode(t, w, 0)
	_, polite := webPod(t, n, "polite")
	polite.Stop(t.Context(), time.Minute)
	if code := polite.ExitCode(); code != 0 {
		t.Errorf("the web demo ended with %d", code)
	}
	deaf, err := n.Run(&container.Spec{Env: []string{"PATH=" + os.Getenv("PATH")}, Args: []string{"sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"}})
	if err != nil {
		t.Fatal(err)
	}
	kit.Eventually(t, "the node settles", func() error {
		if deaf.Log() != "deaf\n" {
			return fmt.Errorf("logged %q", deaf.Log())
		}
		return nil
	})
	deaf.Stop(t.Context(), 10*time.Millisecond)
	if code := deaf.ExitCode(); code != -1 {
		t.Errorf("ended with %d, want a signal", code)
	}
}

// The addresses of a pod are free again once it is gone, and not at once given to another.
func TestPool(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.0.0.0/29")) // 1 to 6
	var got []string
	for range 3 {
		got = append(got, p.take().String())
	}
	p.give(netip.MustParseAddr("10.0.0.2"))
	for range 4 {
		got = append(got, p.take().String())
	}
	want := "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.2"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

// A node whose process 1 is killed is gone whole.
func TestNodeVanishes(t *testing.T) {
	w := newNetwork(t)
	n, other := addNode(t, w, 0), addNode(t, w, 1)
	p, c := webPod(t, n, "victim")
	_, witness := webPod(t, other, "witness")
	listener, err := n.Listen(netip.AddrPortFrom(n.Addresses().Node[0], 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for name, gone := range map[string]<-chan struct{}{"node": n.Down(), "container": c.Done()} {
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatalf("the %s is still there", name)
		}
	}
	if conn, err := listener.Accept(); err == nil {
		conn.Close()
		t.Error("the listener of the node still accepts")
	}
	p.Close()
	if _, err := n.NewPod(); err == nil {
		t.Error("a node that is gone took a pod")
	}
	output(t, witness, "true") // the other node lives on
}
