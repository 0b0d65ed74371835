package multicluster

import (
	"context"
	"strings"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"
)

// Metadata implements metadata.Provider: what the name that was asked for stands for, whether or not it exists. Every
// label is set for names in a zone of the plugin, those that don't apply to the name to "".
func (m *Multicluster) Metadata(ctx context.Context, state request.Request) context.Context {
	z, name := m.match(state.QName())
	if z == nil || !m.started.Load() {
		return ctx
	}
	d := describe(parse(name))
	for label, value := range map[string]string{
		"service": d.service, "namespace": d.namespace, "cluster": d.cluster, "endpoint": d.endpoint,
		"port-name": d.port, "protocol": d.protocol,
	} {
		metadata.SetValueFunc(ctx, pluginName+"/"+label, func() string { return value })
	}
	metadata.SetValueFunc(ctx, pluginName+"/type", func() string { return z.typeOf(d) })
	return ctx
}

// description says what a name stands for.
type description struct {
	service, namespace string
	cluster, endpoint  string
	port, protocol     string
}

func describe(q query) (d description) {
	switch q.kind {
	case namespace:
		d.namespace = q.key
	case service:
		d.service, d.namespace, _ = strings.Cut(q.key, ".")
		first, rest, more := strings.Cut(q.sub, ".")
		switch {
		case q.sub == "":
		case strings.HasPrefix(first, "_") && strings.HasPrefix(rest, "_"):
			d.port, d.protocol = first[1:], rest[1:]
		case strings.HasPrefix(first, "_") && !more:
			d.protocol = first[1:]
		case more:
			d.endpoint, d.cluster = first, rest
		default:
			d.cluster = first
		}
	}
	return d
}

// typeOf returns the type of the import, or "" where there is none.
func (z *zone) typeOf(d description) string {
	if d.service == "" {
		return ""
	}
	s := z.source.view.Service(d.service + "." + d.namespace)
	switch {
	case s == nil:
		return ""
	case s.Headless:
		return "Headless"
	}
	return "ClusterSetIP"
}
