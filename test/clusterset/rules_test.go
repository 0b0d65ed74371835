package clusterset

import (
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/node"
)

// The rules are as wanted only if every port of every family leads to all endpoints and no others.
func TestFollow(t *testing.T) {
	service := &corev1.Service{Spec: corev1.ServiceSpec{
		ClusterIPs: []string{"172.21.0.1", "fd00:172:21::1"},
		Ports:      []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}, {Port: 53, Protocol: corev1.ProtocolUDP}},
	}}
	rules := func(lines ...string) node.Rules {
		r := node.Rules{}
		for _, line := range lines {
			fields := strings.Fields(line)
			front := node.Front{AddrPort: netip.MustParseAddrPort(fields[0]), Protocol: fields[1]}
			for _, endpoint := range fields[2:] {
				r[front] = append(r[front], netip.MustParseAddrPort(endpoint))
			}
		}
		return r
	}
	const (
		tcp4 = "172.21.0.1:80 tcp 10.0.0.1:8080 10.0.0.2:8081"
		udp4 = "172.21.0.1:53 udp 10.0.0.1:53 10.0.0.2:53"
		tcp6 = "[fd00:172:21::1]:80 tcp [fd00::1]:8080 [fd00::2]:8080"
		udp6 = "[fd00:172:21::1]:53 udp [fd00::1]:53 [fd00::2]:53"
	)
	both := []string{"10.0.0.2", "fd00::2", "10.0.0.1", "fd00::1"}
	tests := map[string]struct {
		port  int32
		rules node.Rules
		ips   []string
		want  string // what the error says, "" for none
	}{
		"all":                           {EveryPort, rules(tcp4, udp4, tcp6, udp6), both, ""},
		"nothing yet":                   {EveryPort, rules(), both, "leads"},
		"a family is missing":           {EveryPort, rules(tcp4, udp4), both, "fd00:172:21::1"},
		"a protocol is missing":         {EveryPort, rules(tcp4, tcp6), both, "udp"},
		"that port alone":               {80, rules(tcp4, tcp6), both, ""},
		"no such port":                  {81, rules(tcp4, udp4, tcp6, udp6), both, "no port 81"},
		"one endpoint is still missing": {80, rules("172.21.0.1:80 tcp 10.0.0.1:8080", tcp6), both, "10.0.0.2"},
		"one endpoint is still there":   {80, rules(tcp4, tcp6), []string{"10.0.0.1", "fd00::1", "fd00::2"}, "10.0.0.2"},
		"nobody, as wanted":             {EveryPort, rules(), nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var ips []netip.Addr
			for _, ip := range test.ips {
				ips = append(ips, netip.MustParseAddr(ip))
			}
			err := follow(service, test.port, test.rules, ips)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}
