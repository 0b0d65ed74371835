package controlplane

import (
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// A portReservation keeps a free TCP port for a server that is started, stopped and started again by other processes of
// this user. It is a socket bound with SO_REUSEPORT that never listens: the kernel gives the port to nobody else, refuses
// connections while the server is down, and lets a server listen on it that binds with SO_REUSEPORT too
// (kube-apiserver --permit-port-sharing). So there is no moment between choosing a port and using it.
type portReservation struct {
	fd   int
	port int
}

// reservePort reserves a free port of addr, which may be unspecified (0.0.0.0 or ::).
func reservePort(addr netip.Addr) (*portReservation, error) {
	family, sockaddr := sockaddrOf(addr)
	syscall.ForkLock.RLock() // no child may inherit the socket
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("reserving a port of %s: %w", addr, err)
	}
	port, err := bindShared(fd, sockaddr)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("reserving a port of %s: %w", addr, err)
	}
	return &portReservation{fd, port}, nil
}

func (r *portReservation) release() { unix.Close(r.fd) }

func sockaddrOf(addr netip.Addr) (family int, sockaddr unix.Sockaddr) {
	if addr.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: addr.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: addr.As16()}
}

func bindShared(fd int, sockaddr unix.Sockaddr) (port int, err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, sockaddr); err != nil {
		return 0, err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch sa := bound.(type) {
	case *unix.SockaddrInet4:
		return sa.Port, nil
	case *unix.SockaddrInet6:
		return sa.Port, nil
	}
	return 0, fmt.Errorf("unexpected socket address %T", bound)
}
