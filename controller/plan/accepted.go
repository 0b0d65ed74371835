package plan

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// judge decides about the slices of source of one family, and notes what is left out of them.
func (p *pass) judge(source *Source, family discoveryv1.AddressType) *accept.Judge {
	return &accept.Judge{
		Own:       source.Cluster == p.Cluster,
		Addresses: func(addresses []string) []string { return p.acceptable(source, family, addresses) },
		Refused:   func(what, why string) { p.refused.add(source.Cluster, what, why) },
	}
}

// acceptPorts leaves those ports of the merged service out that no Service here should have, and notes what was left out of
// the exports before (SPEC X2).
func (p *pass) acceptPorts() {
	if p.Service == nil {
		return
	}
	for i := range p.Service.Exports {
		for _, r := range p.Service.Exports[i].Refused {
			p.refused.add(p.Service.Exports[i].Cluster, r.What, r.Why)
		}
	}
	var exporters map[string]string
	accepted := make([]merge.Port, 0, min(len(p.Service.Ports), accept.MaxServicePorts))
	for i := range p.Service.Ports {
		port := &p.Service.Ports[i]
		why := p.unacceptablePort(port)
		if why == "" && len(accepted) == accept.MaxServicePorts {
			why = "too many"
		}
		if why == "" {
			accepted = append(accepted, *port)
		} else {
			if exporters == nil {
				exporters = p.exporters()
			}
			p.refused.add(cmp.Or(exporters[port.Published], p.Service.Clusters[0]), "port "+title(*port), why)
		}
	}
	if len(accepted) < len(p.Service.Ports) {
		service := *p.Service // shared with other consumers
		service.Ports = accepted
		p.Service = &service
	}
}

// unacceptablePort says why the derived Service must not have the port, or "". A headless one is nothing to kube-proxy.
func (p *pass) unacceptablePort(port *merge.Port) string {
	if p.Service.Headless {
		return ""
	}
	return accept.ServicePortName(p.Key.Namespace, p.derived, port.Published)
}

// exporters returns the cluster of highest precedence that has a port, by published name.
func (p *pass) exporters() map[string]string {
	out := make(map[string]string, len(p.Service.Ports))
	for _, cluster := range p.Service.Clusters {
		for _, published := range p.Service.Routes[cluster] {
			if _, older := out[published]; !older {
				out[published] = cluster
			}
		}
	}
	return out
}

// acceptablePort says whether a slice may have the port, whatever becomes of its name.
func acceptablePort(port *discoveryv1.EndpointPort) bool {
	var judge accept.Judge
	return judge.EndpointPort(new(discoveryv1.EndpointPort), port)
}

// reportUnused notes what of a slice keeps it from being imported: ports that are exported, and not acceptable, and a type of
// address that is none here (SPEC S3).
func (p *pass) reportUnused(source *Source, from *discoveryv1.EndpointSlice, routes map[string][]string) {
	if _, imported := from.Labels[mcsapi.LabelSourceCluster]; imported {
		return
	}
	switch from.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	case discoveryv1.AddressTypeFQDN:
		p.refused.add(source.Cluster, "slice "+from.Name, "of addressType FQDN")
		return
	default: // which keep leaves out
		p.refused.add(source.Cluster, "slice "+from.Name, "of an unknown addressType")
		return
	}
	if slices.Contains(p.shape.families, corev1.IPFamily(from.AddressType)) {
		p.slicePorts(source, from, routes)
	}
}
