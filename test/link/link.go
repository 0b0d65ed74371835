// Package link puts something between a program and an API server that a test can cut, slow, block or garble, while the
// server itself goes on. What passes is not looked at.
package link

import (
	"io"
	"net"
	"net/url"
	"sync"
	"time"
)

// A Link leads from a free port of loopback to one TCP address.
type Link struct {
	scheme   string
	target   string
	listener net.Listener

	mu      sync.Mutex
	state   State
	delay   time.Duration
	conns   map[net.Conn]struct{}
	changed chan struct{} // closed when state changes
}

// State is what becomes of bytes.
type State int

// The states.
const (
	Passing    State = iota
	Cut              // every connection is closed, new ones at once
	Blackholed       // connections stay open, and nothing passes
	Garbled          // new connections get bytes that mean nothing
)

// New returns a link that lets everything pass, to the server of a URL.
func New(server string) (*Link, error) {
	at, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{scheme: at.Scheme, target: at.Host, listener: listener, conns: map[net.Conn]struct{}{}, changed: make(chan struct{})}
	go l.accept()
	return l, nil
}

// URL leads to the server, by the same scheme.
func (l *Link) URL() string { return l.scheme + "://" + l.listener.Addr().String() }

// Close ends the link and what goes over it.
func (l *Link) Close() {
	l.listener.Close()
	l.Set(Cut, 0)
}

// Set changes what becomes of bytes, and how long each takes. What is no longer in its stream's order is not passed:
// connections that were garbled or black-holed end when that does.
func (l *Link) Set(state State, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state == Cut || state == Garbled || l.state == Blackholed {
		for conn := range l.conns {
			conn.Close()
		}
		clear(l.conns)
	}
	l.state, l.delay = state, delay
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) now() (State, time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.delay, l.changed
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(conn)
	}
}

func (l *Link) serve(conn net.Conn) {
	defer conn.Close()
	state, _, _ := l.now()
	if state == Garbled {
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
func (l *Link) pass(to io.Writer, from io.Reader) {
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
func (l *Link) hold() {
	for {
		state, delay, changed := l.now()
		if state != Blackholed {
			if delay > 0 {
				<-time.After(delay)
			}
			return
		}
		<-changed
	}
}

func (l *Link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = struct{}{}
	return l.state != Cut
}

func (l *Link) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}
