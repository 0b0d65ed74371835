package main

import (
	"net"
	"net/netip"
	"sync"
)

// Connections that the servers of probes and metrics keep open. Who has more is hung up on, at once, so that one address
// leaves room for others.
const (
	connectionsPerAddress = 32
	connectionsInAll      = 512
)

// crowded is a listener that keeps a bounded number of connections.
type crowded struct {
	net.Listener

	mu    sync.Mutex
	open  map[netip.Prefix]int
	inAll int
}

func newCrowded(l net.Listener) *crowded { return &crowded{Listener: l, open: map[netip.Prefix]int{}} }

// Accept implements [net.Listener].
func (c *crowded) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := sameHost(addressOf(conn.RemoteAddr().String()))
		if !c.admit(from) {
			conn.Close()
			continue
		}
		return &counted{Conn: conn, gone: sync.OnceFunc(func() { c.leave(from) })}, nil
	}
}

func (c *crowded) admit(from netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from] >= connectionsPerAddress || c.inAll >= connectionsInAll {
		return false
	}
	c.open[from]++
	c.inAll++
	return true
}

func (c *crowded) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inAll--
	if c.open[from]--; c.open[from] == 0 {
		delete(c.open, from)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	gone func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

// addressOf returns the address in host:port; the zero one where there is none.
func addressOf(hostport string) netip.Addr {
	at, _ := netip.ParseAddrPort(hostport)
	return at.Addr()
}
