package controlplane

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPortReservation: a reserved port refuses connections and strangers, and takes a server that shares.
func TestPortReservation(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			r, err := reservePort(netip.MustParseAddr(addr))
			if err != nil {
				t.Fatal(err)
			}
			defer r.release()
			at := net.JoinHostPort(addr, strconv.Itoa(r.port))
			if _, err := net.Dial("tcp", at); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("calling a port where nobody listens gave error %v", err)
			}
			if l, err := net.Listen("tcp", at); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("listening on a reserved port gave %v, error %v", l, err)
			}
			for range 2 { // stop and start again
				l, err := sharing.Listen(t.Context(), "tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				conn, err := net.Dial("tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
				l.Close()
			}
		})
	}
}

// sharing listens as kube-apiserver --permit-port-sharing does.
var sharing = net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
	controlErr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(controlErr, err)
}}
