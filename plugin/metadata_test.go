package multicluster

import (
	"testing"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// TestMetadata_D9: what a name stands for.
func TestMetadata_D9(t *testing.T) {
	f := newFixture(t, testZone)
	f.apply(webImport + "\n---\n" + dbImport)
	for name, want := range map[string]map[string]string{
		"web.shop.svc.clusterset.local.":                  {"service": "web", "namespace": "shop", "type": "ClusterSetIP"},
		"_http._tcp.WEB.shop.svc.clusterset.local.":       {"service": "web", "namespace": "shop", "type": "ClusterSetIP", "port-name": "http", "protocol": "tcp"},
		"_tcp.web.shop.svc.clusterset.local.":             {"service": "web", "namespace": "shop", "type": "ClusterSetIP", "protocol": "tcp"},
		"db-0.west.eu.db.shop.svc.clusterset.local.":      {"service": "db", "namespace": "shop", "type": "Headless", "endpoint": "db-0", "cluster": "west.eu"},
		"east.db.shop.svc.clusterset.local.":              {"service": "db", "namespace": "shop", "type": "Headless", "cluster": "east"},
		"nope.shop.svc.clusterset.local.":                 {"service": "nope", "namespace": "shop"},
		"shop.svc.clusterset.local.":                      {"namespace": "shop"},
		"clusterset.local.":                               {},
		"db-0.east.db.shop.svc.clusterset.local.example.": nil,
	} {
		r := new(dns.Msg).SetQuestion(name, dns.TypeA)
		ctx := f.Metadata(metadata.ContextWithMetadata(t.Context()), request.Request{Req: r, W: &wire{t: t}})
		for _, label := range []string{"service", "namespace", "cluster", "endpoint", "type", "port-name", "protocol"} {
			get := metadata.ValueFunc(ctx, "multicluster/"+label)
			switch {
			case want == nil && get != nil:
				t.Errorf("%s has %s", name, label)
			case want != nil && get == nil:
				t.Errorf("%s has no %s", name, label)
			case want != nil && get() != want[label]:
				t.Errorf("%s: %s is %q, not %q", name, label, get(), want[label])
			}
		}
	}
}
