package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probePeriod is how often the agent looks until a probe first succeeds; after that the probe's own period counts. A
// kubelet takes the probe's period from the start, which would only make tests slower.
const probePeriod = 50 * time.Millisecond

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// check makes one readiness probe, HTTP or TCP, from where dial is.
func check(ctx context.Context, dial dialer, probe *corev1.Probe, c *corev1.Container, ip netip.Addr) error {
	timeout := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		port, err := portNumber(probe.HTTPGet.Port, c)
		if err != nil {
			return err
		}
		return get(ctx, dial, fmt.Sprintf("http://%s%s", netip.AddrPortFrom(ip, port), probe.HTTPGet.Path))
	case probe.TCPSocket != nil:
		port, err := portNumber(probe.TCPSocket.Port, c)
		if err != nil {
			return err
		}
		conn, err := dial(ctx, "tcp", netip.AddrPortFrom(ip, port).String())
		if err != nil {
			return err
		}
		return conn.Close()
	}
	return errors.New("the test's node makes HTTP and TCP probes only")
}

func get(ctx context.Context, dial dialer, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return errors.New(response.Status)
	}
	return nil
}

// portNumber looks a named port up.
func portNumber(port intstr.IntOrString, c *corev1.Container) (uint16, error) {
	if port.Type == intstr.Int {
		return uint16(port.IntVal), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return uint16(p.ContainerPort), nil
		}
	}
	number, err := strconv.ParseUint(port.StrVal, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("the container has no port named %q", port.StrVal)
	}
	return uint16(number), nil
}
