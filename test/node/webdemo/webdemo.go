// Package webdemo is the small server that runs in the test's pods, and the line that it answers with.
//
// It stands in for the web-demo image of the walk-through: every request, whatever its path, and every UDP datagram is
// answered with one line that says which cluster and which pod answered, where, and whom. A client that reads that line
// knows which way its packets took.
package webdemo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Answer is what a server says about itself and the request that it answers.
type Answer struct {
	Cluster string         // what the pod's ENV_NAME says, else the name of the cluster
	Pod     string         // the name of the pod
	Local   netip.AddrPort // where the request arrived
	Client  netip.AddrPort // where it came from, as the server saw it
}

const format = "cluster=%s pod=%s at=%s client=%s\n"

// String returns the line that goes over the wire, newline included.
func (a Answer) String() string {
	return fmt.Sprintf(format, a.Cluster, a.Pod, a.Local, a.Client)
}

// Parse reads one line that a server sent.
func Parse(line string) (Answer, error) {
	var a Answer
	var local, client string
	_, err := fmt.Sscanf(line, format, &a.Cluster, &a.Pod, &local, &client)
	if err == nil {
		a.Local, err = netip.ParseAddrPort(local)
	}
	if err == nil {
		a.Client, err = netip.ParseAddrPort(client)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("no answer of the web demo: %q: %w", line, err)
	}
	return a, nil
}

// Server describes what one pod serves.
type Server struct {
	Cluster string
	Pod     string
	TCP     []uint16 // ports to answer HTTP on
	UDP     []uint16 // ports to answer datagrams on
}

// Serve listens on all ports of s, on every address of both families, calls listening once all are open, and answers
// until ctx is done; then it takes no new request, lets those under way end, and returns nil.
func (s *Server) Serve(ctx context.Context, listening func()) error {
	web := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ConnContext: withLocal}
	results := make(chan error, len(s.TCP)+len(s.UDP))
	running := 0
	var packets []net.PacketConn
	closeAll := func() {
		web.Close()
		for _, conn := range packets {
			conn.Close()
		}
	}
	defer closeAll()
	for _, port := range s.TCP {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		running++
		go func() { results <- web.Serve(listener) }()
	}
	for _, port := range s.UDP {
		conn, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		packets = append(packets, conn)
		running++
		go func() { results <- s.serveUDP(conn) }()
	}
	listening()
	if running == 0 {
		<-ctx.Done()
		return nil
	}
	select {
	case err := <-results:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return web.Shutdown(drain)
}

// ServeHTTP answers any request with one line.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	local, _ := r.Context().Value(localKey{}).(netip.AddrPort)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s.answer(local, client).String()) // a client that went away needs no answer
}

type localKey struct{}

func withLocal(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, localKey{}, addrPort(conn.LocalAddr()))
}

func (s *Server) serveUDP(conn net.PacketConn) error {
	buffer := make([]byte, 1500)
	for {
		_, client, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		reply := s.answer(addrPort(conn.LocalAddr()), addrPort(client)).String()
		if _, err := conn.WriteTo([]byte(reply), client); err != nil && errors.Is(err, net.ErrClosed) {
			return nil
		}
	}
}

func (s *Server) answer(local, client netip.AddrPort) Answer {
	return Answer{Cluster: s.Cluster, Pod: s.Pod, Local: unmap(local), Client: unmap(client)}
}

func addrPort(addr net.Addr) netip.AddrPort {
	parsed, _ := netip.ParseAddrPort(addr.String()) // what net itself printed
	return parsed
}

// unmap turns ::ffff:10.1.2.3, which a socket of both families says for IPv4, into 10.1.2.3.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
