package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SPEC A4: the effective resolv.conf is kubelet's.
func TestResolvConf_A4(t *testing.T) {
	cluster := []netip.Addr{netip.MustParseAddr("172.21.0.10"), netip.MustParseAddr("fd00::a")}
	machine := resolvConf{Servers: []string{"192.0.2.1"}, Searches: []string{"example.org"}, Options: []string{"rotate"}}
	value := func(s string) *string { return &s }
	tests := map[string]struct {
		policy corev1.DNSPolicy
		config *corev1.PodDNSConfig
		want   string
	}{
		"plain": {
			policy: corev1.DNSClusterFirst,
			want: "search consumer-ns.svc.cluster.local svc.cluster.local cluster.local example.org\n" +
				"nameserver 172.21.0.10\nnameserver fd00::a\noptions ndots:5\n",
		},
		"the document's: given searches come last and duplicates go": {
			policy: corev1.DNSClusterFirst,
			config: &corev1.PodDNSConfig{Searches: []string{
				"svc.clusterset.local", "clusterset.local", "consumer-ns.svc.cluster.local", "svc.cluster.local", "cluster.local",
			}},
			want: "search consumer-ns.svc.cluster.local svc.cluster.local cluster.local example.org svc.clusterset.local clusterset.local\n" +
				"nameserver 172.21.0.10\nnameserver fd00::a\noptions ndots:5\n",
		},
		"options replace and add": {
			policy: corev1.DNSClusterFirst,
			config: &corev1.PodDNSConfig{
				Nameservers: []string{"192.0.2.53", "192.0.2.54"},
				Options:     []corev1.PodDNSConfigOption{{Name: "ndots", Value: value("2")}, {Name: "edns0"}},
			},
			want: "search consumer-ns.svc.cluster.local svc.cluster.local cluster.local example.org\n" +
				"nameserver 172.21.0.10\nnameserver fd00::a\nnameserver 192.0.2.53\noptions ndots:2 edns0\n",
		},
		"the machine's": {
			policy: corev1.DNSDefault,
			want:   "search example.org\nnameserver 192.0.2.1\noptions rotate\n",
		},
		"none": {
			policy: corev1.DNSNone,
			config: &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.53"}, Searches: []string{"svc.clusterset.local"}},
			want:   "search svc.clusterset.local\nnameserver 192.0.2.53\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "consumer-ns"},
				Spec:       corev1.PodSpec{DNSPolicy: test.policy, DNSConfig: test.config},
			}
			got, err := resolvConfFor(pod, cluster, "cluster.local", machine)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != test.want {
				t.Errorf("got:\n%swant:\n%s", got, test.want)
			}
		})
	}
}

// Kubelet cuts what the API server's validation lets through only in sum.
func TestResolvConfLimits(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{DNSPolicy: corev1.DNSNone, DNSConfig: &corev1.PodDNSConfig{}}}
	for n := range 40 {
		pod.Spec.DNSConfig.Searches = append(pod.Spec.DNSConfig.Searches, fmt.Sprintf("%s%d", strings.Repeat("x", 60), n))
	}
	got, err := resolvConfFor(pod, nil, "cluster.local", resolvConf{})
	if err != nil {
		t.Fatal(err)
	}
	if size := len(strings.Join(got.Searches, " ")); len(got.Searches) != 32 || size > maxSearchPathSize {
		t.Errorf("%d search paths of %d bytes are left", len(got.Searches), size)
	}
}
