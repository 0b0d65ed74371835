package mcsctl

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/programs"
)

// TestExplainAsksDNS: what explain says of DNS is what the real CoreDNS answers, with the directive and without.
func TestExplainAsksDNS(t *testing.T) {
	list, _ := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	const ns = "shop"
	namespace(t, ns, c1)
	c1.service(t, ns, "cart", "10.1.0.5")
	c1.export(t, ns, "cart")
	namespace(t, system, c1)
	run(t, c1, true)
	explain := []string{"explain", "_http._tcp.cart.shop.svc.clusterset.local", "--cluster", "c1=" + c1.Kubeconfig(), "--dns"}

	with := serveDNS(t, "multicluster clusterset.local {\n kubeconfig "+c1.Kubeconfig()+"\n}")
	eventuallyWell(t, append(explain, with)...).golden(t, "explain-dns")
	without := serveDNS(t, "whoami")
	mcsctl(t, append(explain, without)...).golden(t, "explain-dns-without")
	kubernetes := serveDNS(t, "kubernetes clusterset.local {\n kubeconfig "+c1.Kubeconfig()+"\n}")
	eventually(t, "kubernetes takes the zone for one of the cluster", func() error {
		if o := mcsctl(t, append(explain, kubernetes)...); o.code != 1 || !strings.Contains(o.out, "the plugin kubernetes answers for the zone") {
			return errText(o.out)
		}
		return nil
	})
	mcsctl(t, append(explain, kubernetes)...).golden(t, "explain-dns-kubernetes")
	nobody := silent(t)
	mcsctl(t, append(explain, nobody, "--timeout", "2s")...).wants(t, 1, "dns: "+nobody+" did not answer within 2 s")
}

// serveDNS runs CoreDNS with a directive on a free port, and returns its address.
func serveDNS(t *testing.T, directive string) string {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	corefile := filepath.Join(t.TempDir(), "Corefile")
	must(t, os.WriteFile(corefile, fmt.Appendf(nil, ".:%s {\n bind 127.0.0.1\n %s\n}\n", port, directive), 0o600))
	coreDNS(t, corefile, address)
	return address
}

// coreDNS runs it with a Corefile by which it listens at address.
func coreDNS(t *testing.T, corefile, address string) {
	t.Helper()
	built, err := programs.Build(t.Context(), os.Stderr, "cmd/coredns")
	must(t, err)
	cmd := exec.Command(built[0], "-conf", corefile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "CoreDNS listens", func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
