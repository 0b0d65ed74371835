package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// TestReviews_X1: a token that was seen costs no review, one address can't use up the reviews of others, and all together are
// bounded.
func TestReviews_X1(t *testing.T) {
	failure := errors.New("no answer")
	asked, deadline := 0, true
	r := newReviews(func(ctx context.Context, token, _ string) error {
		asked++
		_, has := ctx.Deadline()
		deadline = deadline && has
		switch token {
		case "good":
			return nil
		case "other":
			return errMayNot
		case "broken":
			return failure
		}
		return errWho
	})
	scraper, flood := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, tc := range []struct {
		token string
		want  error
		cost  int // reviews of two requests
	}{{"", errWho, 0}, {"good", nil, 1}, {"other", errMayNot, 1}, {"nobody", errWho, 1}, {"broken", failure, 2}} {
		before := asked
		for range 2 {
			if err := r.verdict(t.Context(), scraper, tc.token, "/metrics"); !errors.Is(err, tc.want) {
				t.Errorf("token %q: %v, want %v", tc.token, err, tc.want)
			}
		}
		if asked-before != tc.cost {
			t.Errorf("token %q: %d reviews, want %d", tc.token, asked-before, tc.cost)
		}
	}
	if err := r.verdict(t.Context(), scraper, "other", "/elsewhere"); !errors.Is(err, errMayNot) {
		t.Errorf("a verdict on one path is used for another: %v", err)
	}
	before := asked
	for n := range 5000 {
		_ = r.verdict(t.Context(), flood, fmt.Sprint("random ", n), "/metrics")
	}
	if n := asked - before; n < addressBurst || n > addressBurst+5 {
		t.Errorf("%d reviews for one address at once, want %d", n, addressBurst)
	}
	if err := r.verdict(t.Context(), netip.MustParseAddr("10.0.0.3"), "other 2", "/metrics"); !errors.Is(err, errWho) {
		t.Errorf("another address is not reviewed: %v", err)
	}
	before = asked
	for n := range 1000 {
		_ = r.verdict(t.Context(), netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), fmt.Sprint("of many ", n), "/metrics")
	}
	if n := asked - before; n > totalBurst+5*totalRate {
		t.Errorf("%d reviews for a thousand addresses at once, want about %d", n, totalBurst)
	}
	if err := r.verdict(t.Context(), scraper, "good", "/metrics"); err != nil {
		t.Errorf("a good token is forgotten: %v", err)
	}
	if !deadline {
		t.Error("a review has no deadline")
	}
}

// TestSameHost_X1: what one host can have of addresses is one.
func TestSameHost_X1(t *testing.T) {
	for pair, same := range map[[2]string]bool{
		{"10.0.0.1", "10.0.0.1"}: true, {"10.0.0.1", "10.0.0.2"}: false, {"10.0.0.1", "::ffff:10.0.0.1"}: true,
		{"fd00::1", "fd00::2"}: true, {"fd00::1", "fd00:0:0:1::1"}: false, {"fe80::1%eth0", "fe80::2%eth1"}: true,
	} {
		if got := sameHost(netip.MustParseAddr(pair[0])) == sameHost(netip.MustParseAddr(pair[1])); got != same {
			t.Errorf("%v are one host: %v", pair, got)
		}
	}
}

// TestCrowd_X1: one address keeps no more connections than its part, leaves room for others, and gets what it gives back.
func TestCrowd_X1(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(http.NotFoundHandler())
	if server.IdleTimeout <= 0 || server.ReadHeaderTimeout <= 0 || server.ReadTimeout <= 0 || server.WriteTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("a client may be as slow as it likes: %+v", server)
	}
	go func() { _ = server.Serve(newCrowded(plain)) }()
	t.Cleanup(func() { server.Close() })
	// answered opens a connection, and says whether it is kept.
	answered := func(from string) (net.Conn, bool) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		conn, err := d.DialContext(t.Context(), "tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		n, _ := conn.Read(make([]byte, 1))
		return conn, n == 1
	}
	var first net.Conn
	for n := range connectionsPerAddress {
		conn, ok := answered("127.0.0.2")
		if !ok {
			t.Fatalf("connection %d is not kept", n+1)
		}
		if first == nil {
			first = conn
		}
	}
	if _, ok := answered("127.0.0.2"); ok {
		t.Error("one address keeps more than its part")
	}
	if _, ok := answered("127.0.0.3"); !ok {
		t.Error("another address has no room")
	}
	first.Close()
	for end := time.Now().Add(10 * time.Second); ; {
		if _, ok := answered("127.0.0.2"); ok {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a connection that was closed counts on")
		}
	}
}
