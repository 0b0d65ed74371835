package dns

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"

	"github.com/miekg/dns"
)

const patience = 2 * time.Minute // for what has to happen; nothing is measured by it

// server is a running coredns.
type server struct {
	t        testing.TB
	addr     string // of DNS
	corefile string // its path
	cmd      *exec.Cmd
	log      *log
	exited   chan struct{}
	ports    map[string]string
}

// log is what a program printed so far.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// serve runs the binary with a Corefile in which {port}, and {port:NAME} for others, stand for free ports, and returns
// when it listens. It is stopped when the test ends.
func serve(t testing.TB, corefile string) *server {
	t.Helper()
	for tries := 1; ; tries++ {
		s, taken := start(t, corefile), false
		s.await("the server answers", func() error {
			select {
			case <-s.exited:
				// Between finding a free port and listening on it, another program may have got it.
				if taken = tries < 5 && strings.Contains(s.log.String(), "address already in use"); taken {
					return nil
				}
				t.Fatalf("coredns ended:\n%s", s.log)
			default:
			}
			if !strings.Contains(s.log.String(), "CoreDNS-") { // its banner; before it, a reply would be another program's
				return errors.New("it does not listen yet")
			}
			_, err := s.exchange("udp", new(dns.Msg).SetQuestion("health.check.", dns.TypeA))
			return err
		})
		if !taken {
			return s
		}
	}
}

// start is serve without waiting.
func start(t testing.TB, corefile string) *server {
	t.Helper()
	s := &server{t: t, log: &log{}, exited: make(chan struct{}), ports: map[string]string{}}
	s.corefile = filepath.Join(t.TempDir(), "Corefile")
	s.write(corefile)
	s.addr = net.JoinHostPort("127.0.0.1", s.port(""))
	s.cmd = exec.Command(binary(t), "-conf", s.corefile)
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = programs.Environ(), s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		if t.Failed() {
			t.Logf("coredns printed:\n%s", s.log)
		}
	})
	return s
}

// write replaces the Corefile.
func (s *server) write(corefile string) {
	s.t.Helper()
	for {
		from := strings.Index(corefile, "{port")
		if from < 0 {
			break
		}
		to := from + strings.IndexByte(corefile[from:], '}')
		name := strings.TrimPrefix(corefile[from+len("{port"):to], ":")
		corefile = corefile[:from] + s.port(name) + corefile[to+1:]
	}
	if err := os.WriteFile(s.corefile, []byte(corefile), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// port returns the port that stands for a name in this server's Corefile.
func (s *server) port(name string) string {
	if s.ports[name] == "" {
		s.ports[name] = strconv.Itoa(freePort(s.t))
	}
	return s.ports[name]
}

// freePort returns a port that is free for UDP and TCP.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		l.Close()
		if err == nil {
			p.Close()
			return port
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return 0
}

// exchange sends a message and returns the reply.
func (s *server) exchange(network string, m *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: 15 * time.Second, UDPSize: 65535}
	reply, _, err := client.Exchange(m, s.addr)
	return reply, err
}

// ask returns the reply to a question over UDP, with an EDNS size that is never too small here.
func (s *server) ask(name string, qtype uint16) *dns.Msg {
	s.t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.SetEdns0(4096, false)
	reply, err := s.exchange("udp", m)
	if err != nil {
		s.t.Fatalf("asking %s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return reply
}

// await polls until ok returns no error, and fails the test when that takes too long.
func (s *server) await(what string, ok func() error) {
	s.t.Helper()
	kit.Eventually(s.t, what, ok)
}
