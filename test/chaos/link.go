package chaos

import (
	"io"
	"net"
	"sync"
	"time"
)

// link is the network between the controller and one API server. What passes is not looked at.
type link struct {
	target   string
	listener net.Listener

	mu      sync.Mutex
	state   linkState
	delay   time.Duration
	conns   map[net.Conn]struct{}
	changed chan struct{} // closed when state changes
}

type linkState int

const (
	passing    linkState = iota
	cut                  // every connection is closed, new ones at once
	blackholed           // connections stay open, and nothing passes
	garbled              // new connections get bytes that mean nothing
)

func newLink(target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{target: target, listener: listener, conns: map[net.Conn]struct{}{}, changed: make(chan struct{})}
	go l.accept()
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) close() {
	l.listener.Close()
	l.set(cut, 0)
}

// set changes what becomes of bytes, and how long each takes. What is no longer in its stream's order is not passed:
// connections that were garbled or black-holed end when that does.
func (l *link) set(state linkState, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state == cut || state == garbled || l.state == blackholed {
		for conn := range l.conns {
			conn.Close()
		}
		clear(l.conns)
	}
	l.state, l.delay = state, delay
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *link) now() (linkState, time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.delay, l.changed
}

func (l *link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(conn)
	}
}

func (l *link) serve(conn net.Conn) {
	defer conn.Close()
	state, _, _ := l.now()
	if state == garbled {
		_, _ = conn.Write([]byte("\x15\x03\x03 220 this is no API server\r\n"))
		return
	}
	if !l.keep(conn) {
		return
	}
	defer l.forget(conn)
	upstream, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer upstream.Close()
	if !l.keep(upstream) {
		return
	}
	defer l.forget(upstream)
	go func() {
		l.pass(upstream, conn)
		upstream.Close()
	}()
	l.pass(conn, upstream)
}

// pass copies from one connection to another until either ends.
func (l *link) pass(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.hold()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold returns when bytes that arrived now may pass.
func (l *link) hold() {
	for {
		state, delay, changed := l.now()
		if state != blackholed {
			if delay > 0 {
				<-time.After(delay)
			}
			return
		}
		<-changed
	}
}

func (l *link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = struct{}{}
	return l.state != cut
}

func (l *link) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}
