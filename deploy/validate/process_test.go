package validate

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/need"
)

var (
	built   = map[string]string{}
	builtMu sync.Mutex
)

// program builds one of the programs, once, and returns its path.
func program(t *testing.T, name string) string {
	t.Helper()
	builtMu.Lock()
	defer builtMu.Unlock()
	if path := built[name]; path != "" {
		return path
	}
	path := filepath.Join(binDir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/"+name)
	cmd.Dir, cmd.Env = rootDir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	built[name] = path
	return path
}

// binDir is where programs are built, for all tests.
var binDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "multicluster-validate-*")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binDir = dir
		return m.Run()
	}())
}

// A pod is the first container of a pod of the server, run here as a process: with its arguments, and with its ServiceAccount's
// token, the CA and the address of the API server where every pod has them.
type pod struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write implements [io.Writer] for what the program prints.
func (p *pod) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *pod) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// run starts a program as the pod would, until the test ends. Arguments go through replace, which takes out what only a pod
// has: ports of its own, and volumes.
func (s *server) run(t *testing.T, path, namespace string, spec *corev1.PodSpec, replace *strings.Replacer) *pod {
	t.Helper()
	need.Root.OrSkip(t) // to mount the token where pods have it
	// A mount namespace with an empty /run, of which /var/run is another name.
	script := `mount -t tmpfs tmpfs /run; mkdir -p /run/secrets/kubernetes.io; cp -r "$1" /run/secrets/kubernetes.io/serviceaccount
		shift; exec "$@"`
	args := []string{"--mount", "sh", "-euc", script, "sh", s.serviceAccount(t, namespace, spec.ServiceAccountName), path}
	for _, arg := range spec.Containers[0].Args {
		args = append(args, replace.Replace(strings.ReplaceAll(arg, "$(POD_NAMESPACE)", namespace)))
	}
	address, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &pod{cmd: exec.Command("unshare", args...), ended: make(chan struct{})}
	p.cmd.Env = []string{"KUBERNETES_SERVICE_HOST=" + address.Hostname(), "KUBERNETES_SERVICE_PORT=" + address.Port(),
		"POD_NAMESPACE=" + namespace, "PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(path), p.Log())
		}
	})
	return p
}

// start starts the program, from a thread that lives as long as it does: should this test be killed, so is the program.
func (p *pod) start() error {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ends is not what is tested here
		}
		close(p.ended)
	}()
	return <-started
}

// stop ends the program as a kubelet does.
func (p *pod) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// serviceAccount returns a folder with what a pod has of its ServiceAccount.
func (s *server) serviceAccount(t *testing.T, namespace, name string) string {
	t.Helper()
	token, err := s.kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, content := range map[string][]byte{
		"token": []byte(token.Status.Token), "ca.crt": s.Config().CAData, "namespace": []byte(namespace),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
