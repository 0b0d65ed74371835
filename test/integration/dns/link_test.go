package dns

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
)

// link is a connection to an API server that a test can cut while the server itself goes on: what passes is not looked at.
type link struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
}

// linkTo returns a link to the API server of a cluster, and a kubeconfig for an identity that goes through it.
func linkTo(t testing.TB, c *controlplane.Cluster, user string, groups ...string) (*link, string) {
	t.Helper()
	target, err := url.Parse(c.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{target: target.Host, conns: map[net.Conn]bool{}}
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.listener.Close()
		l.cut()
	})
	go l.accept()
	content, err := c.KubeconfigContent("https://"+l.listener.Addr().String(), user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return l, path
}

func (l *link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.pass(conn)
	}
}

// pass copies both ways until one side ends.
func (l *link) pass(conn net.Conn) {
	defer conn.Close()
	if !l.keep(conn) {
		return
	}
	upstream, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer upstream.Close()
	if !l.keep(upstream) {
		return
	}
	go func() {
		_, _ = io.Copy(upstream, conn)
		upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}

func (l *link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = true
	return !l.isCut
}

// cut ends all connections, and every new one at once.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.conns {
		conn.Close()
	}
	clear(l.conns)
}

// mend lets new connections through again.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = false
}
