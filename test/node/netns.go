package node

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A netns is a network namespace without a name, which exists as long as this process holds it open, or a process is in
// it. When this program ends, in whatever way, the kernel takes the namespace and every link in it away.
type netns struct{ file *os.File }

// newNetns makes a namespace whose loopback is up, and that forwards packets of both families without delay.
func newNetns() (*netns, error) {
	ns := new(netns)
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		var err error
		ns.file, err = os.Open(threadNetns)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := ns.setUp(); err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// routing are the settings that make a fresh namespace a router. Duplicate address detection would keep each new IPv6
// address from being used for two seconds.
var routing = map[string]string{
	"ipv4/ip_forward":                 "1",
	"ipv4/conf/all/rp_filter":         "0",
	"ipv4/conf/default/rp_filter":     "0",
	"ipv6/conf/all/disable_ipv6":      "0",
	"ipv6/conf/all/forwarding":        "1",
	"ipv6/conf/all/accept_dad":        "0",
	"ipv6/conf/default/accept_dad":    "0",
	"ipv6/conf/default/accept_ra":     "0",
	"ipv6/conf/default/dad_transmits": "0",
}

func (ns *netns) setUp() error {
	err := ns.do(func() error {
		for name, value := range routing {
			if err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0); err != nil {
				return fmt.Errorf("setting up a network namespace: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return ns.ip("link set lo up")
}

func (ns *netns) close() { ns.file.Close() }

// path names the namespace to other programs while this one lives.
func (ns *netns) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd()) }

// do calls f on a thread that is in the namespace: sockets that f opens, and processes that it starts, belong there for
// good. f must not start goroutines for work that is to be done inside.
func (ns *netns) do(f func() error) error { return onThread(func() error { return ns.enter(f) }) }

// enter is do for a caller that already is in onThread.
func (ns *netns) enter(f func() error) error {
	if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	return f()
}

// ip runs commands of ip(8) in the namespace, in one go; the first that fails ends it.
func (ns *netns) ip(commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.do(cmd.Start); err != nil {
		return fmt.Errorf("running ip: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

const threadNetns = "/proc/thread-self/ns/net"

// home opens the namespaces that this program was started in.
var home = sync.OnceValues(func() (*homeNamespaces, error) {
	net, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	pid, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return nil, err
	}
	return &homeNamespaces{net, pid}, nil
})

type homeNamespaces struct{ net, pid *os.File }

// onThread calls f on an operating system thread of its own, which goes back to the namespaces that this program was
// started in, or is never used again.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		namespaces, err := home()
		if err != nil {
			result <- err
			return
		}
		result <- f()
		if unix.Setns(int(namespaces.net.Fd()), unix.CLONE_NEWNET) == nil &&
			unix.Setns(int(namespaces.pid.Fd()), unix.CLONE_NEWPID) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return <-result
}
