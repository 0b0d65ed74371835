// Package program tests the program mcs-controller as processes: flags, replicas, leadership, probes, metrics, and how it
// ends.
package program

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mcs-controller-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mcs-controller")
	out, err := exec.Command("go", "build", "-o", path, "../../../cmd/mcs-controller").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building mcs-controller: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is a running mcs-controller.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log []string
}

// start runs mcs-controller with probes and metrics on free ports. It is killed when the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return startIn(t, name, nil, args...)
}

// startIn is start with more variables in the environment.
func startIn(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0")
	p := &process{t: t, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.log = append(p.log, lines.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, strings.Join(p.log, "\n"))
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// said returns the first line of the log that has all the words, or "".
func (p *process) said(words ...string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
lines:
	for _, line := range p.log {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		return line
	}
	return ""
}

// get asks one of the process's addresses.
func (p *process) get(flag, path string) (status int, body string) {
	p.t.Helper()
	var address string
	kit.True(p.t, "the address of "+flag, func() bool {
		_, address, _ = strings.Cut(p.said("msg=serving", "flag="+flag+" "), "address=")
		return address != ""
	})
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	content, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content)
}

func (p *process) metric(line string) bool {
	_, body := p.get("--metrics-bind-address", "/metrics")
	return strings.Contains(body, "\n"+line+"\n")
}

func (p *process) leads() bool { return p.said("this replica leads", "lease=") != "" }

// namespace makes the namespace of the Lease.
func namespace(t *testing.T, c *controlplane.Cluster) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	kit.Namespace(t, kube, "mcs")
}

// TestFlagsOnly holds that two --cluster flags are a working fleet, that probes and metrics answer, and that SIGTERM ends it.
func TestFlagsOnly(t *testing.T) {
	all := controlplane.AllForTest(t, controlplane.Options{Name: "a"}, controlplane.Options{Name: "b"})
	for _, c := range all {
		if err := c.InstallCRDs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, "the controller", "--cluster", "c1="+all[0].Kubeconfig(), "--cluster", "c2="+all[1].Kubeconfig(), "--cluster", "c3=/nowhere")
	for _, line := range []string{
		"mcs_controller_members 3",
		`mcs_controller_member_synced{cluster="c1",role="consumer"} 1`,
		`mcs_controller_member_synced{cluster="c2",role="provider"} 1`,
		`mcs_controller_member_synced{cluster="c3",role="provider"} 0`,
		`mcs_controller_member_reachable{cluster="c2"} 1`,
		`mcs_controller_member_reachable{cluster="c3"} 0`,
		"mcs_controller_leader 1",
	} {
		kit.True(t, line, func() bool { return p.metric(line) })
	}
	if p.said("level=ERROR", "--cluster c3=/nowhere: open /nowhere: no such file or directory; want a readable kubeconfig") == "" {
		t.Error("the bad member is not named")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := p.get("--health-probe-bind-address", path); status != http.StatusOK || body != "ok" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	p.signal(syscall.SIGTERM)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestReplicas_L4 holds that of two replicas one leads, that the other takes over at once when the first is asked to end,
// and within 20 s when it is killed.
func TestReplicas_L4(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	namespace(t, c)
	args := []string{"--kubeconfig", c.Kubeconfig(), "--namespace", "mcs", "--cluster", "c1=" + c.Kubeconfig()}
	first := start(t, "the first", args...)
	kit.TrueWithin(t, 30*time.Second, "the first leads", first.leads)
	second := start(t, "the second", args...)
	synced := `mcs_controller_member_synced{cluster="c1",role="provider"} 1`
	kit.TrueWithin(t, 30*time.Second, "the second stands by with warm caches", func() bool { return second.metric(synced) })
	if second.leads() || second.metric("mcs_controller_leader 1") {
		t.Fatal("both lead")
	}

	first.signal(syscall.SIGTERM)
	<-first.done
	ended := time.Now()
	kit.TrueWithin(t, 10*time.Second, "the second leads, for the lease was given up", second.leads)
	t.Logf("after SIGTERM, the follower led %v after the leader had ended", time.Since(ended))

	third := start(t, "the third", args...)
	kit.TrueWithin(t, 30*time.Second, "the third stands by", func() bool { return third.metric(synced) })
	second.signal(syscall.SIGKILL)
	killed := time.Now()
	kit.TrueWithin(t, 20*time.Second, "the third leads", third.leads)
	t.Logf("after SIGKILL, the follower led after %v", time.Since(killed))
	if status, body := third.get("--health-probe-bind-address", "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d %s", status, body)
	}
}

// TestCutOff_L2 holds that a leader whose API server is away stops working, and works again when it is back, without a
// restart: its caches stay warm.
func TestCutOff_L2(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{})
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	namespace(t, c)
	p := start(t, "the controller", "--kubeconfig", c.Kubeconfig(), "--namespace", "mcs", "--cluster", "c1="+c.Kubeconfig())
	kit.True(t, "it leads", func() bool { return p.metric("mcs_controller_leader 1") })
	if err := c.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "it lost leadership", func() bool { return p.metric("mcs_controller_leader 0") })
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "it leads again", func() bool { return p.metric("mcs_controller_leader 1") })
}

// TestMemberRole holds that with --self only the own cluster is written to: the others are providers that are read, with a
// role that allows no more (DESIGN 3), and that exporting by rule is no exception (SPEC P1).
func TestMemberRole(t *testing.T) {
	all := controlplane.AllForTest(t, controlplane.Options{Name: "own"}, controlplane.Options{Name: "other", AuditLog: true})
	own, other := newRuled(t, all[0]), newRuled(t, all[1])
	for _, c := range []*ruled{own, other} {
		c.namespace("shop", "")
		c.service("shop", "web", "web")
	}
	if err := other.ApplyYAML(t.Context(), []byte(readerBinding)); err != nil {
		t.Fatal(err)
	}
	reader, err := all[1].KubeconfigFor("reader")
	if err != nil {
		t.Fatal(err)
	}
	namespace(t, all[0])
	p := start(t, "the controller", "--kubeconfig", all[0].Kubeconfig(), "--namespace", "mcs", "--self", "c1", "--cluster", "c2="+reader,
		"--export-selector=app=web")
	for _, line := range []string{
		"mcs_controller_leader 1",
		`mcs_controller_member_synced{cluster="c1",role="consumer"} 1`,
		`mcs_controller_member_synced{cluster="c1",role="provider"} 1`,
		`mcs_controller_member_synced{cluster="c2",role="provider"} 1`,
	} {
		kit.True(t, line, func() bool { return p.metric(line) })
	}
	if p.metric(`mcs_controller_member_synced{cluster="c2",role="consumer"} 1`) || p.metric(`mcs_controller_member_synced{cluster="c2",role="consumer"} 0`) {
		t.Error("another cluster is a consumer")
	}
	own.awaitExports("shop", "web*")
	writes, err := other.AuditedRequests()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writes {
		if w.User == "reader" {
			t.Errorf("the other cluster was written to: %+v", w)
		}
	}
	p.signal(syscall.SIGTERM)
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

const readerBinding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "multicluster:provider-read"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
`
