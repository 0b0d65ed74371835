package docs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
)

// without leaves out commands that this machine has no program for, or that only show something, and says so.
func (r *reader) without(commands []string, prefixes ...string) (rest []string) {
	r.t.Helper()
	for _, command := range commands {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(command, p) || strings.HasSuffix(command, p) }) {
			r.t.Logf("not run: %s", command)
			continue
		}
		rest = append(rest, command)
	}
	return rest
}

// awaitDNS asks the cluster's DNS, as pods do, until the zone is known or unknown.
func (r *reader) awaitDNS(c *clusterset.Cluster, known bool) {
	r.t.Helper()
	kit.Must(r.t, kit.Await(r.t.Context(), func(ctx context.Context) error {
		reply, err := c.Ask(ctx, "dns-version.clusterset.local.", dns.TypeTXT)
		if err != nil {
			return err
		}
		if got := len(reply.Answer) == 1; got != known {
			return fmt.Errorf("the zone is answered: %v; got %v", got, reply)
		}
		return nil
	}))
	reply, err := c.Ask(r.t.Context(), "kubernetes.default.svc.cluster.local.", dns.TypeA)
	kit.Must(r.t, err)
	if len(reply.Answer) != 1 {
		r.t.Errorf("cluster.local is not answered as ever: %v", reply)
	}
}

// TestInstall follows docs/install.md: the API and the controller, the plugin into the cluster's own CoreDNS with a canary
// first, and out again; an upgrade, as docs/upgrading.md has it; and the end of it, which leaves the CRDs and nothing else of ours.
func TestInstall(t *testing.T) {
	const page = "install.md"
	r := newReader(t)
	c1 := r.set.Cluster("c1")
	r.follows(page, "With kustomize")
	commands, err := docs.Commands(page, "The plugin in the cluster's own CoreDNS")
	kit.Must(t, err)
	// Only the pod can be asked here, not a port of this machine: dig's questions are asked below, of what came of it.
	for _, command := range r.without(commands, "dig ", "5353:53 &") {
		r.types(command)
	}
	r.awaitDNS(c1, true)
	if out := r.types("mcsctl --context c1 check || true"); !strings.Contains(out, "kube-system/coredns answers for clusterset.local") {
		t.Error("check does not see the line")
	} else if strings.Contains(out, "caches answers") || strings.Contains(out, "lacks loadbalance") {
		t.Error("the page leaves a cache in front of the zone, or no balance (SPEC D18)")
	}
	r.follows(page, "Removing the plugin")
	r.awaitDNS(c1, false)

	const upgrading = "upgrading.md"
	r.follows(upgrading, "Before you upgrade")
	r.follows(upgrading, "The commands")
	r.follows(upgrading, "Our CoreDNS in the controller's namespace")
	r.follows(page, "Uninstall")
	left := r.types("kubectl --context c1 get crds,clusterroles,clusterrolebindings,namespaces,services,deployments -A -o name")
	for _, line := range strings.Fields(left) {
		ours := strings.Contains(line, "multicluster") || strings.Contains(line, "mcs")
		if ours && !strings.HasPrefix(line, "customresourcedefinition") {
			t.Errorf("%s is left", line)
		}
	}
}
