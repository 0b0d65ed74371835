package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// The limits of an API server for one EndpointSlice.
const (
	maxEndpoints = 1000
	maxAddresses = 100
)

// maxRefusals is how many refusals of a cluster are counted. People see a few of them, and a hundred thousand, which one slice
// can hold, would each be compared with all others.
const maxRefusals = 100

// refusals are what of an exporting cluster's slices was left out and why, by cluster, in the order in which it was met. An
// API server would refuse the whole slice for some of it, and with it everything that waits for the slice (SPEC X2).
type refusals map[string][]string

func (r refusals) add(cluster, what, why string) {
	if len(r[cluster]) > maxRefusals {
		return // the last entry says so
	}
	entry := fmt.Sprintf("%s (%s)", excerpt.Of(what, 80), why)
	if len(r[cluster]) == maxRefusals {
		entry = "more than are counted"
	}
	if !slices.Contains(r[cluster], entry) {
		r[cluster] = append(r[cluster], entry)
	}
}

// clauses are what was refused, by cluster.
func (r refusals) clauses() string {
	clusters := make(map[string]bool, len(r))
	for cluster := range r {
		clusters[cluster] = true
	}
	var clauses []string
	for _, cluster := range sorted(clusters) {
		clauses = append(clauses, cluster+": "+strings.Join(few(r[cluster]), ", "))
	}
	return strings.Join(few(clauses), "; ")
}

// notImported is the condition that names what of the exporting clusters is refused; false if nothing is.
func (p *pass) notImported() (report, bool) {
	var reasons, messages []string
	for _, part := range []struct {
		reason, what string
		refused      refusals
	}{
		{EndpointsRefused, "not imported: ", p.refused}, {KeysRefused, "labels and annotations not imported: ", p.RefusedKeys},
	} {
		if clauses := part.refused.clauses(); clauses != "" {
			reasons, messages = append(reasons, part.reason), append(messages, part.what+clauses)
		}
	}
	return report{ConditionRefused, metav1.ConditionTrue, strings.Join(reasons, ","), strings.Join(messages, "; "), warning}, len(reasons) > 0
}

// acceptable returns those of an endpoint's addresses that are imported from source: the same list if all are.
func (p *pass) acceptable(source *Source, family discoveryv1.AddressType, addresses []string) []string {
	if len(addresses) > maxAddresses {
		p.refused.add(source.Cluster, fmt.Sprintf("%d addresses of one endpoint", len(addresses)-maxAddresses), "too many")
		addresses = addresses[:maxAddresses]
	}
	bad := func(address string) bool { return p.unacceptable(source, family, address) != "" }
	if !slices.ContainsFunc(addresses, bad) {
		return addresses
	}
	var out []string
	for _, address := range addresses {
		if why := p.unacceptable(source, family, address); why != "" {
			p.refused.add(source.Cluster, address, why)
		} else {
			out = append(out, address)
		}
	}
	return out
}

// unacceptable says why no traffic may go to address on behalf of source, or "" (SPEC X2).
func (p *pass) unacceptable(source *Source, family discoveryv1.AddressType, address string) string {
	addr, err := netip.ParseAddr(address)
	purpose := specialPurpose(addr, source.CIDRs)
	within := func(prefix netip.Prefix) bool { return prefix.Contains(addr) }
	switch {
	case err != nil || addr.Zone() != "" || addr.Is4In6() || addr.Is4() != (corev1.IPFamily(family) == corev1.IPv4Protocol):
		return "no " + string(family) + " address"
	case purpose != "":
		return purpose
	case p.ServiceRanges.Contains(addr):
		return "in this cluster's service range"
	case source.Cluster != p.Cluster && p.NodeAddresses[addr]:
		return "a node of this cluster"
	case len(source.CIDRs) > 0 && !slices.ContainsFunc(source.CIDRs, within):
		return "outside the cluster's declared CIDRs"
	}
	return ""
}
