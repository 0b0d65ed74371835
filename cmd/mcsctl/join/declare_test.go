package join

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/controller/registration"
)

// SPEC X2: ranges are declared only where nothing that is there contradicts them.
func TestUndeclarable_X2(t *testing.T) {
	seen := func(list ...string) (out []endpointSeen) {
		for _, text := range list {
			service, address, _ := strings.Cut(text, " ")
			out = append(out, endpointSeen{service, netip.MustParseAddr(address)})
		}
		return out
	}
	kubeadm := networkRanges{ranges: ranges("10.244.0.0/16", "fd00:244::/56"), from: "kubeadm-config"}
	calico := networkRanges{ranges: ranges("10.244.0.0/16"), from: "Calico's IPPools", assigns: true}
	server := "default/kubernetes 172.18.0.2"
	for name, c := range map[string]struct {
		n     networkRanges
		nodes []netip.Prefix
		seen  []endpointSeen
		want  string
	}{
		"pods are where they should be":           {kubeadm, ranges("10.244.0.0/23", "fd00:244::/63"), seen(server, "kube-system/kube-dns 10.244.0.2", "shop/web fd00:244::9"), ""},
		"a pod elsewhere":                         {kubeadm, nil, seen("kube-system/kube-dns 10.244.0.2", "shop/web 10.1.0.5"), "kubeadm-config says 10.244.0.0/16,fd00:244::/56, but Service shop/web has endpoint 10.1.0.5"},
		"another family":                          {calico, nil, seen("shop/web fd00:244::9"), "Service shop/web has endpoint fd00:244::9"},
		"on a node's network, not exported":       {kubeadm, nil, seen("kube-system/proxy 172.18.0.3", "shop/web 10.244.1.5"), ""},
		"on a node's network":                     {kubeadm, nil, seen("monitoring/node-exporter 172.18.0.3", "shop/web 10.244.1.5"), "but Service monitoring/node-exporter has endpoint 172.18.0.3"},
		"nobody shows that the network heeds it":  {kubeadm, ranges("10.244.0.0/24"), seen(server), "kubeadm-config says 10.244.0.0/16,fd00:244::/56, but no endpoint there shows that pods are in it"},
		"a node has another range":                {kubeadm, ranges("10.245.0.0/24"), seen("shop/web 10.244.1.5"), "but a node has 10.245.0.0/24"},
		"a node has a wider one":                  {kubeadm, ranges("10.244.0.0/15"), seen("shop/web 10.244.1.5"), "but a node has 10.244.0.0/15"},
		"who assigns addresses needs one, too":    {calico, ranges("10.245.0.0/24"), seen(server), "but no endpoint there shows that pods are in it"},
		"whatever the ranges of the nodes":        {calico, ranges("10.245.0.0/24"), seen("kube-system/kube-dns 10.244.0.2"), ""},
		"the DNS is elsewhere":                    {calico, nil, seen("kube-system/kube-dns 172.31.0.2", "shop/web 10.244.1.5"), "but Service kube-system/kube-dns has endpoint 172.31.0.2"},
		"a person needs no witness":               {networkRanges{ranges: ranges("10.244.0.0/16"), from: "--pod-cidrs", given: true}, ranges("10.245.0.0/24"), seen(server), ""},
		"but is contradicted by endpoints":        {calico, nil, seen("shop/web 10.1.0.5"), "Calico's IPPools says 10.244.0.0/16, but Service shop/web has endpoint 10.1.0.5"},
		"a namespace that only begins like kube-": {calico, nil, seen("kubeflow/web 10.1.0.5"), "Service kubeflow/web"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.n.undeclarable(c.nodes, c.seen)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// SPEC X2: what a cluster's own configuration says is not declared where it would allow the cluster the addresses of others.
func TestImplausible_X2(t *testing.T) {
	others := []Party{{ID: "c1", Pods: ranges("10.1.0.0/16", "fd00:1::/48"), Services: ranges("10.96.0.0/16")}, {Origin: "Secret mcs-system/c9", Pods: ranges("10.9.0.0/16"), Ignored: true}}
	for name, c := range map[string]struct {
		ranges []string
		given  bool
		want   string
	}{
		"its own":                         {[]string{"10.244.0.0/16", "fd00:244::/48"}, false, ""},
		"all addresses":                   {[]string{"0.0.0.0/0"}, false, "kubeadm-config says 0.0.0.0/0, which is wider than the pods of one cluster need (a /8)"},
		"as wide as may be":               {[]string{"11.0.0.0/8", "fd01::/32"}, false, ""},
		"half of that more":               {[]string{"12.0.0.0/7"}, false, "wider"},
		"wide ones, and many":             {[]string{"11.0.0.0/9", "13.0.0.0/9", "15.0.0.0/9"}, false, "wider"},
		"all of IPv6":                     {[]string{"10.244.0.0/16", "::/0"}, false, "kubeadm-config says 10.244.0.0/16,::/0, which is wider than the pods of one cluster need (a /32)"},
		"the pods of another":             {[]string{"10.0.0.0/8"}, false, "kubeadm-config says 10.0.0.0/8, which holds addresses of c1, 10.1.0.0/16"},
		"the IPv6 pods of another":        {[]string{"10.244.0.0/16", "fd00:1::/32"}, false, "of c1, fd00:1::/48"},
		"the Services of another":         {[]string{"10.96.0.0/12"}, false, "of c1, 10.96.0.0/16"},
		"of one that nobody believes":     {[]string{"10.9.0.0/20"}, false, ""},
		"a person knows what is declared": {[]string{"0.0.0.0/0"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := networkRanges{ranges: ranges(c.ranges...), from: "kubeadm-config", given: c.given}.implausible(others)
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRangesIn(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.0.0/16,fd00::/48": "10.1.0.0/16,fd00::/48", "10.0.0.0/16 10.1.0.0/16": "10.0.0.0/15", "": "", "10.0.0.0/16,auto": "",
	} {
		if got := joined(rangesIn([]string{text, ""})); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestCheckLimit(t *testing.T) {
	for list, want := range map[string]string{"": "", "any": "", "10.0.0.0/8": "", "10.0.0.0": "--endpoint-cidrs \"10.0.0.0\": want ranges"} {
		if err := CheckLimit(registration.LimitEndpointCIDRs, list); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", list, err)
		}
	}
	if CheckLimit(registration.LimitExportedKeys, "any") != nil || CheckLimit(registration.LimitExportedKeys, "*/x") == nil {
		t.Error("keys are not checked as keys")
	}
}
