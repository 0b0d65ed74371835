package node

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// What kube-proxy writes of a Service with one endpoint, with several, with session affinity and with none, in its own words.
const kubeProxyRules = `
table ip kube-proxy {
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
	map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
	set affinity { type ipv4_addr ; flags dynamic,timeout ; timeout 3h ; }
	chain one { meta l4proto tcp dnat to 10.0.0.1:8080 ; }
	chain several { meta l4proto tcp dnat ip addr . port to numgen random mod 3 map { 0 : 10.0.0.1 . 8080 , 1 : 10.0.0.3 . 8080 , 2 : 10.0.0.2 . 8081 } ; }
	chain endpoint1 { update @affinity { ip saddr } ; meta l4proto udp dnat to 10.0.0.9:53 ; }
	chain endpoint2 { meta l4proto udp dnat to 10.0.0.8:53 ; }
	chain sticky { ip saddr @affinity goto endpoint1 ; numgen random mod 2 vmap { 0 : goto endpoint1 , 1 : goto endpoint2 } ; }
	chain external { ip saddr 10.0.0.0/8 goto several ; goto several ; }
	chain reject-chain { reject ; }
	chain stale { meta l4proto tcp dnat to 10.0.0.7:8080 ; }
}
add element ip kube-proxy service-ips { 172.21.0.1 . tcp . 80 comment "shop/web:http" : goto one , 172.21.0.2 . tcp . 80 : goto several }
add element ip kube-proxy service-ips { 172.21.0.3 . udp . 53 : goto sticky , 172.21.0.4 . tcp . 443 : goto external }
add element ip kube-proxy no-endpoint-services { 172.21.0.5 . tcp . 80 : goto reject-chain }
table ip6 kube-proxy {
	map service-ips { type ipv6_addr . inet_proto . inet_service : verdict ; }
	chain one { meta l4proto tcp dnat to [fd00::1]:8080 ; }
	chain several { meta l4proto tcp dnat ip6 addr . port to numgen random mod 2 map { 0 : fd00::1 . 8080 , 1 : fd00::2 . 8081 } ; }
}
add element ip6 kube-proxy service-ips { fd00:172::1 . tcp . 80 : goto one , fd00:172::2 . tcp . 80 : goto several }
table ip another {
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
	chain one { meta l4proto tcp dnat to 10.0.0.66:8080 ; }
}
add element ip another service-ips { 172.21.0.6 . tcp . 80 : goto one }
`

// TestRules reads from the kernel where each Service leads to.
func TestRules(t *testing.T) {
	n := addNode(t, newNetwork(t), 0)
	if rules, err := n.Rules(t.Context()); err != nil || len(rules) > 0 {
		t.Fatalf("without kube-proxy the rules are %v, error %v", rules, err)
	}
	cmd := n.Command(t.Context(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(kubeProxyRules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	rules, err := n.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"172.21.0.1:80 tcp":    "[10.0.0.1:8080]",
		"172.21.0.2:80 tcp":    "[10.0.0.1:8080 10.0.0.2:8081 10.0.0.3:8080]",
		"172.21.0.3:53 udp":    "[10.0.0.8:53 10.0.0.9:53]",
		"172.21.0.4:443 tcp":   "[10.0.0.1:8080 10.0.0.2:8081 10.0.0.3:8080]",
		"[fd00:172::1]:80 tcp": "[[fd00::1]:8080]",
		"[fd00:172::2]:80 tcp": "[[fd00::1]:8080 [fd00::2]:8081]",
	}
	got := map[string]string{}
	for front, endpoints := range rules {
		got[fmt.Sprint(front.AddrPort, " ", front.Protocol)] = fmt.Sprint(endpoints)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	front := Front{netip.MustParseAddrPort("172.21.0.2:80"), "tcp"}
	if !slices.IsSortedFunc(rules[front], netip.AddrPort.Compare) {
		t.Errorf("the endpoints of %v are not sorted: %v", front, rules[front])
	}
}

func TestParseRules(t *testing.T) {
	const key = `{"concat": ["172.21.0.1", "tcp", 80]}`
	element := func(key, rule string) string {
		return `{"nftables": [{"map": {"family": "ip", "table": "kube-proxy", "name": "service-ips", "elem": [[` + key + `, {"goto": {"target": "one"}}]]}},
			{"rule": {"family": "ip", "table": "kube-proxy", "chain": "one", "expr": [` + rule + `]}}]}`
	}
	tests := map[string]struct{ listed, want string }{
		"no JSON":               {"table ip kube-proxy", "what nft printed"},
		"another key":           {element(`"172.21.0.1"`, ``), "a key of service-ips"},
		"no address in the key": {element(`{"concat": ["web", "tcp", 80]}`, ``), "web"},
		"an element cut off":    {`{"nftables": [{"map": {"table": "kube-proxy", "name": "service-ips", "elem": [[1]]}}]}`, "an element of service-ips"},
		"no port":               {element(key, `{"dnat": {"addr": "10.0.0.1"}}`), "10.0.0.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rules, err := parseRules([]byte(test.listed))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("rules %v, error %v; want an error about %q", rules, err, test.want)
			}
		})
	}
}
