// Package multicluster is a CoreDNS plugin that answers the names of multi-cluster services, <service>.<ns>.svc.<zone>
// (KEP-1645), from the ServiceImports and EndpointSlices of the cluster it runs in.
//
// A question takes one way through it: [Multicluster.ServeDNS] finds the zone, parse (query.go) takes the name apart,
// the zone finds the records in the view (zone.go), and reply (answer.go) makes of them a message that fits. The view
// (package view) is kept by a source (source.go), which outlives reloads and is shared by all server blocks that ask the
// same API server for the same objects; watch.go and stream.go are the only files that speak to Kubernetes.
package multicluster

import (
	"context"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"
)

const pluginName = "multicluster"

var log = clog.NewWithPlugin(pluginName)

// Multicluster serves the zones of one server block.
type Multicluster struct {
	Next    plugin.Handler
	zones   []*zone
	stanzas []*stanza
	group   *group
	started atomic.Bool // every zone has its source
}

// Name implements plugin.Handler.
func (m *Multicluster) Name() string { return pluginName }

// ServeDNS implements plugin.Handler.
func (m *Multicluster) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	question := &r.Question[0]
	z, name := m.match(question.Name)
	if z == nil {
		return plugin.NextOrFailure(pluginName, m.Next, ctx, w, r)
	}
	if question.Qclass != dns.ClassINET || question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		return dns.RcodeRefused, nil // transfers are for the plugin transfer; no other class has these zones
	}
	q := parse(name)
	if !z.source.synced() && !z.standing(q, question.Qtype) {
		return dns.RcodeServerFailure, nil // it is not known yet what exists
	}
	set, exists := z.find(q, question.Qtype)
	if !exists && z.fall.Through(question.Name) {
		return plugin.NextOrFailure(pluginName, m.Next, ctx, w, r)
	}
	if err := w.WriteMsg(z.reply(w, r, set, exists)); err != nil {
		return dns.RcodeSuccess, err // the client is gone; nothing else can be written to it either
	}
	return dns.RcodeSuccess, nil
}

// match returns the zone that qname lies in, the longest if there are several, and the part of qname above it in lower
// case.
func (m *Multicluster) match(qname string) (found *zone, name string) {
	for _, z := range m.zones {
		if found != nil && len(z.Origin) < len(found.Origin) {
			continue
		}
		if above, ok := within(qname, z.Origin); ok {
			found, name = z, above
		}
	}
	return found, lowerName(name)
}
