package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// resolvConf is what a resolver reads: resolv.conf(5).
type resolvConf struct {
	Servers  []string
	Searches []string
	Options  []string
}

// The limits that kubelet cuts a resolv.conf to (k8s.io/kubernetes/pkg/apis/core/validation).
const (
	maxNameservers    = 3
	maxSearchPaths    = 32
	maxSearchPathSize = 2048
)

// resolvConfFor returns what kubelet gives to a pod (SPEC A4): what dnsPolicy says, then what dnsConfig adds, without
// duplicates, the first one staying. machine is the node's own resolv.conf.
func resolvConfFor(pod *corev1.Pod, clusterDNS []netip.Addr, clusterDomain string, machine resolvConf) (resolvConf, error) {
	var conf resolvConf
	switch pod.Spec.DNSPolicy {
	case corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, "":
		for _, server := range clusterDNS {
			conf.Servers = append(conf.Servers, server.String())
		}
		conf.Searches = append([]string{pod.Namespace + ".svc." + clusterDomain, "svc." + clusterDomain, clusterDomain}, machine.Searches...)
		conf.Options = []string{"ndots:5"}
	case corev1.DNSDefault:
		conf = resolvConf{slices.Clone(machine.Servers), slices.Clone(machine.Searches), slices.Clone(machine.Options)}
	case corev1.DNSNone:
	default:
		return conf, fmt.Errorf("dnsPolicy %q is none of Kubernetes", pod.Spec.DNSPolicy)
	}
	if extra := pod.Spec.DNSConfig; extra != nil {
		conf.Servers = append(conf.Servers, extra.Nameservers...)
		conf.Searches = append(conf.Searches, extra.Searches...)
		for _, option := range extra.Options {
			conf.setOption(option)
		}
	}
	conf.Servers = unique(conf.Servers)
	conf.Searches = unique(conf.Searches)
	conf.cut()
	return conf, nil
}

// setOption gives an option its value, in place of another.
func (c *resolvConf) setOption(option corev1.PodDNSConfigOption) {
	text := option.Name
	if option.Value != nil {
		text += ":" + *option.Value
	}
	for i, have := range c.Options {
		if name, _, _ := strings.Cut(have, ":"); name == option.Name {
			c.Options[i] = text
			return
		}
	}
	c.Options = append(c.Options, text)
}

func (c *resolvConf) cut() {
	c.Servers = c.Servers[:min(len(c.Servers), maxNameservers)]
	c.Searches = c.Searches[:min(len(c.Searches), maxSearchPaths)]
	for len(strings.Join(c.Searches, " ")) > maxSearchPathSize {
		c.Searches = c.Searches[:len(c.Searches)-1]
	}
}

// String returns the file.
func (c resolvConf) String() string {
	var file strings.Builder
	if len(c.Searches) > 0 {
		fmt.Fprintf(&file, "search %s\n", strings.Join(c.Searches, " "))
	}
	for _, server := range c.Servers {
		fmt.Fprintf(&file, "nameserver %s\n", server)
	}
	if len(c.Options) > 0 {
		fmt.Fprintf(&file, "options %s\n", strings.Join(c.Options, " "))
	}
	return file.String()
}

// unique drops later duplicates, and what is empty.
func unique(list []string) []string {
	var kept []string
	for _, item := range list {
		if item != "" && !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	return kept
}
