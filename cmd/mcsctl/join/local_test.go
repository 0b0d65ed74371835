package join

import (
	"strings"
	"testing"
)

// TestLocalPath: a path that ends on this machine is none for a controller in a pod.
func TestLocalPath(t *testing.T) {
	for _, c := range []struct {
		name                      string
		server, proxy, advertised string
		own                       bool
		want                      string // a part of the refusal; "" for none
	}{
		{name: "an address", server: "https://10.0.0.2:6443"},
		{name: "a name", server: "https://c2-control-plane:6443", advertised: "https://172.18.0.3:6443"},
		{name: "kind", server: "https://127.0.0.1:41231", advertised: "https://172.18.0.3:6443", want: "https://127.0.0.1:41231 is an address of this machine only, and the controller runs in a pod; want --server https://172.18.0.3:6443, the address"},
		{name: "k3d", server: "https://0.0.0.0:41231", advertised: "https://172.19.0.2:6443", want: "want --server https://172.19.0.2:6443"},
		{name: "IPv6", server: "https://[::1]:41231", advertised: "https://[fd00::2]:6443", want: "want --server 'https://[fd00::2]:6443'"},
		{name: "IPv4 in IPv6", server: "https://[::ffff:127.0.0.1]:41231", want: "want --server with"},
		{name: "a tunnel", server: "https://localhost:6443", want: "want --server with the address"},
		{name: "a name below localhost", server: "https://c2.LOCALHOST.:6443", want: "want --server with the address"},
		{name: "the API server is on loopback, too", server: "https://127.0.0.1:6443", advertised: "https://127.0.0.1:6443", want: "want --server with the address"},
		{name: "a hub that joins itself", server: "https://127.0.0.1:41231", advertised: "https://172.18.0.3:6443", own: true, want: "want --server https://kubernetes.default.svc --unchecked"},
		{name: "a proxy", server: "https://c2.internal:6443", proxy: "socks5://me:secret@127.0.0.1:1080", want: "proxy-url socks5://me:xxxxx@127.0.0.1:1080 is an address of this machine only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := localPath(c.server, c.proxy, c.advertised, c.own)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
