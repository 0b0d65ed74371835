package join

import (
	"context"
	"net/netip"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
)

// network returns what the cluster's network, or who set the cluster up, wrote down of the pods' ranges; none where nobody did, or
// it can't be read.
func network(ctx context.Context, c *members.Cluster) networkRanges {
	for _, ask := range []func(context.Context, *members.Cluster) networkRanges{calico, cilium, kubeadm} {
		if found := ask(ctx, c); len(found.ranges) > 0 {
			return found
		}
	}
	return networkRanges{}
}

// calico reads Calico's pools, those that are disabled, too: pods may still have addresses of them.
func calico(ctx context.Context, c *members.Cluster) networkRanges {
	var all []string
	for _, pool := range customObjects(ctx, c, schema.GroupVersionResource{Group: "crd.projectcalico.org", Version: "v1", Resource: "ippools"}) {
		cidr, _, _ := unstructured.NestedString(pool.Object, "spec", "cidr")
		all = append(all, cidr)
	}
	return networkRanges{ranges: rangesIn(all), from: "Calico's IPPools", assigns: true}
}

// cilium reads Cilium's configuration, where Cilium assigns addresses of ranges of its own.
func cilium(ctx context.Context, c *members.Cluster) networkRanges {
	config := configMap(ctx, c, "cilium-config")
	if mode := config["cni-chaining-mode"]; mode != "" && mode != "none" {
		return networkRanges{} // another plugin assigns the addresses
	}
	switch config["ipam"] {
	case "cluster-pool", "cluster-pool-v2beta":
		return networkRanges{ranges: rangesIn([]string{config["cluster-pool-ipv4-cidr"], config["cluster-pool-ipv6-cidr"]}), from: "Cilium's configuration", assigns: true}
	case "multi-pool":
		var all []string
		for _, pool := range customObjects(ctx, c, schema.GroupVersionResource{Group: "cilium.io", Version: "v2alpha1", Resource: "ciliumpodippools"}) {
			for _, family := range []string{"ipv4", "ipv6"} {
				cidrs, _, _ := unstructured.NestedStringSlice(pool.Object, "spec", family, "cidrs")
				all = append(all, cidrs...)
			}
		}
		return networkRanges{ranges: rangesIn(all), from: "Cilium's pools", assigns: true}
	}
	return networkRanges{}
}

// kubeadm reads what kubeadm was told.
func kubeadm(ctx context.Context, c *members.Cluster) networkRanges {
	var config struct {
		Networking struct {
			PodSubnet string `json:"podSubnet"`
		} `json:"networking"`
	}
	if yaml.Unmarshal([]byte(configMap(ctx, c, "kubeadm-config")["ClusterConfiguration"]), &config) != nil {
		return networkRanges{}
	}
	return networkRanges{ranges: rangesIn([]string{config.Networking.PodSubnet}), from: "kubeadm-config"}
}

func configMap(ctx context.Context, c *members.Cluster, name string) map[string]string {
	m, err := c.Kube.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil // not there, or hidden: nobody tells
	}
	return m.Data
}

func customObjects(ctx context.Context, c *members.Cluster, kind schema.GroupVersionResource) []unstructured.Unstructured {
	client, err := dynamic.NewForConfigAndClient(c.Config, c.Client.HTTP)
	if err != nil {
		return nil
	}
	list, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return list.Items
}

// rangesIn reads lists of ranges, separated by commas or spaces; nothing if one of them is no range.
func rangesIn(lists []string) []netip.Prefix {
	ranges, bad := ParseCIDRs(strings.FieldsFunc(strings.Join(lists, ","), func(r rune) bool { return r == ',' || r == ' ' }))
	if len(bad) > 0 {
		return nil
	}
	return aggregate(ranges)
}
