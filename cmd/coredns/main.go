// Command coredns is CoreDNS with all the plugins that it has upstream, and multicluster right before kubernetes. It takes
// the same flags and Corefiles.
package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin" // the stock plugins
	"github.com/coredns/coredns/coremain"

	_ "github.com/clusterset/multicluster/plugin"
)

// The order of plugins is that of the directives, not that of a Corefile. What comes before kubernetes stays before
// multicluster, so that cache, loadbalance and the like treat both alike.
func init() {
	at := slices.Index(dnsserver.Directives, "kubernetes")
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), at, "multicluster")
}

func main() { coremain.Run() }
