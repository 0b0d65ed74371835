package check

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// well is a clusterset without a fault: c1 at home, c2 registered there.
func well() Facts {
	c := Cluster{
		Provider: true, Consumer: true, Version: "v1.37.2", SkewKnown: true, Exports: "v1beta1", Imports: "v1beta1",
		Servers: []nameserver.Server{{Role: nameserver.Stock, Namespace: "kube-system", Name: "coredns", Image: "coredns-multicluster:v1", Ready: 2, Wanted: 2,
			Answer: corefile.Answer{State: corefile.Served, TTL: 5 * time.Second}}},
	}
	c1, c2 := c, c
	c1.ID, c1.Pods = "c1", []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	c2.ID, c2.Pods, c2.Registered, c2.Servers = "c2", []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, true, slices.Clone(c.Servers)
	return Facts{
		Zone: "clusterset.local", Namespace: "mcs-system", Registering: " --context c1", Now: now, Clusters: []Cluster{c1, c2},
		Controller: finding.Controller{Deployed: &members.Controller{Ready: 2, Replicas: 2}, Namespace: "mcs-system",
			Leases: []members.Leases{{Leader: &members.Lease{Name: "mcs-system/mcs-controller-default", Holder: "x", Renewed: now, Lasts: 15 * time.Second}}}},
	}
}

// broken are clustersets with one fault, and what is said of it.
var broken = []struct {
	name   string
	break_ func(f *Facts, c1, c2 *Cluster)
	want   string // "cluster link verdict: part of what was found → part of the advice"; "" where all is well
}{
	{"all is well", func(*Facts, *Cluster, *Cluster) {}, ""},
	{"a member is down", func(_ *Facts, _, c2 *Cluster) { c2.Down = "connection refused" }, "c2 server wrong: connection refused → mcsctl join c2 --from CONTEXT --context c1"},
	{"an old server (A7)", func(_ *Facts, _, c2 *Cluster) { c2.Version = "v1.21.14" }, "c2 server wrong: older than 1.22 → upgrade"},
	{"a vendor's version", func(_ *Facts, _, c2 *Cluster) { c2.Version = "v1.30.5-gke.100" }, ""},
	{"no ServiceExport", func(_ *Facts, _, c2 *Cluster) { c2.Exports = "" }, "c2 api wrong: ServiceExport is not served → deploy/crds"},
	{"no ServiceImport", func(_ *Facts, c1, _ *Cluster) { c1.Imports = "" }, "c1 api wrong: ServiceImport is not served → deploy/crds"},
	{"v1alpha1 only (A7)", func(_ *Facts, _, c2 *Cluster) { c2.Exports, c2.Imports = "v1alpha1", "v1alpha1" }, "c2 api warning: only v1alpha1 → newer CRDs"},
	{"rights are missing (X1)", func(_ *Facts, _, c2 *Cluster) { c2.Denied = []string{"list services"} }, "c2 rights wrong: may not list services → mcsctl join c2 --from CONTEXT --context c1"},
	{"statuses are withheld (X1)", func(_ *Facts, _, c2 *Cluster) { c2.NoStatus = true }, "c2 rights warning: may not write the status"},
	{"clocks apart (M1)", func(_ *Facts, c1, _ *Cluster) { c1.Skew = 8 * time.Second }, " clocks warning: the clock of c1 is 8s ahead of that of c2 → synchronise"},
	{"one range twice", func(_ *Facts, _, c2 *Cluster) { c2.Pods[0] = netip.MustParsePrefix("10.1.128.0/20") }, " pod-ranges wrong: the pods of c1 have 10.1.0.0/16, those of c2 have 10.1.128.0/20"},
	{"a range that is not known", func(_ *Facts, _, c2 *Cluster) { c2.Pods = nil }, " pod-ranges unknown: not known of c2 → note them: mcsctl join c2 --from CONTEXT --pod-cidrs RANGES --context c1"},
	{"the home's range is not known", func(_ *Facts, c1, _ *Cluster) { c1.Pods = nil }, " pod-ranges unknown: not known of c1 → compare the pod ranges of c1 with those of the others by hand"},
	{"no leader", func(f *Facts, _, _ *Cluster) { f.Controller.Leases[0].Leader = nil }, " lease wrong: no replica of the controller leads → kubectl logs -n mcs-system"},
	{"the lease ran out", func(f *Facts, _, _ *Cluster) { f.Now = now.Add(time.Minute) }, " lease wrong: no replica of the controller has led since 2026-01-02T03:04:05Z (60s ago, by Lease mcs-system/mcs-controller-default)"},
	{"a replica is down", func(f *Facts, _, _ *Cluster) { f.Controller.Deployed.Ready = 1 }, " controller wrong: 1 of 2 replicas"},
	{"Secrets are hidden", func(f *Facts, _, _ *Cluster) { f.SecretsErr = errors.New("may not be listed") }, " members unknown: may not be listed"},
	{"a binary without the plugin", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers[0].Crash, c1.Servers[0].Image = "CrashLoopBackOff: Corefile:3 - Error during parsing: Unknown directive 'multicluster'", "registry.k8s.io/coredns:v1.15.0"
	}, "c1 dns wrong: the image registry.k8s.io/coredns:v1.15.0 does not know the plugin → What brings it back"},
	{"the line is missing, or reverted", func(_ *Facts, c1, _ *Cluster) { c1.Servers[0].Answer.State = corefile.Missing }, "c1 dns wrong: no line for clusterset.local → what reverts it"},
	{"another block captures the zone", func(_ *Facts, c1, _ *Cluster) { c1.Servers[0].Answer.State = corefile.Captured }, "c1 dns wrong: has no directive multicluster → move the line"},
	{"kubernetes claims the zone", func(_ *Facts, c1, _ *Cluster) { c1.Servers[0].Answer.State = corefile.Claimed }, "c1 dns wrong: claims clusterset.local"},
	{"answers last too long", func(_ *Facts, c1, _ *Cluster) { c1.Servers[0].Answer.TTL = 2 * time.Minute }, "c1 dns warning: lets answers last 2m0s → a shorter ttl"},
	{"the stock CoreDNS caches (D18)", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers[0].Answer.Server, c1.Servers[0].Answer.Cached = ".:53", []string{"success", "denial"}
	}, "c1 dns warning: the server block .:53 of kube-system/coredns caches answers for clusterset.local (success, denial) → add clusterset.local to the lines disable success and disable denial, or add these lines: kubectl edit configmap -n kube-system coredns"},
	{"a stub block caches (D18)", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers[0].Answer = corefile.Answer{State: corefile.Forwarded, Server: "clusterset.local.:53", To: []string{"10.96.0.53"}, Cached: []string{"denial"}}
	}, "c1 dns warning: the server block clusterset.local.:53 of kube-system/coredns caches answers for clusterset.local (denial) → take the directive cache out of the block"},
	{"a stub block does not balance (D18)", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers[0].Answer = corefile.Answer{State: corefile.Forwarded, Server: "clusterset.local.:53", To: []string{"10.96.0.53"}, Unbalanced: true}
	}, "c1 dns warning: clusterset.local.:53 of kube-system/coredns lacks loadbalance → add the line loadbalance to the block: kubectl edit configmap -n kube-system coredns"},
	{"NodeLocal DNS caches (D18)", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers = append(c1.Servers, nameserver.Server{Role: nameserver.NodeLocal, Namespace: "kube-system", Name: "node-local-dns",
			Answer: corefile.Answer{State: corefile.Forwarded, Server: "clusterset.local.:53", Cached: []string{"success", "denial"}}})
	}, "c1 dns warning: of kube-system/node-local-dns caches → take the directive cache out of the block: kubectl edit configmap -n kube-system node-local-dns"},
	{"our own CoreDNS does not balance (D18)", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers = append(c1.Servers, nameserver.Server{Role: nameserver.Own, Namespace: "mcs-system", Name: "coredns-multicluster", ConfigMap: "coredns-multicluster-7k2", Ready: 2, Wanted: 2,
			Answer: corefile.Answer{State: corefile.Served, Server: "clusterset.local.:53", Unbalanced: true}})
	}, "c1 dns warning: of mcs-system/coredns-multicluster lacks loadbalance → kubectl edit configmap -n mcs-system coredns-multicluster-7k2"},
	{"NodeLocal DNS in front", func(_ *Facts, c1, _ *Cluster) {
		c1.Servers = append(c1.Servers, nameserver.Server{Role: nameserver.NodeLocal, Namespace: "kube-system", Name: "node-local-dns", Answer: corefile.Answer{State: corefile.Missing}})
	}, "c1 dns wrong: kube-system/node-local-dns has no line → NodeLocal DNS"},
	{"nothing forwards to our own CoreDNS", func(_ *Facts, c1, _ *Cluster) {
		c1.Flags = " --context c1"
		forwarding(c1, 2, 2)
		c1.Servers[0].Answer = corefile.Answer{State: corefile.Missing}
	}, "c1 dns wrong: kube-system/coredns has no line → have it forward the zone: mcsctl dns --context c1"},
	{"our own CoreDNS is scaled to 0", func(_ *Facts, c1, _ *Cluster) {
		c1.Flags = " --context c1"
		forwarding(c1, 0, 0)
	}, "c1 dns wrong: mcs-dns/coredns-multicluster is scaled to 0 → kubectl scale -n mcs-dns deployment/coredns-multicluster --replicas 2 --context c1"},
	{"no pod of our own CoreDNS is ready", func(_ *Facts, c1, _ *Cluster) { forwarding(c1, 0, 2) },
		"c1 dns wrong: no pod of mcs-dns/coredns-multicluster is ready → kubectl logs -n mcs-dns deployment/coredns-multicluster"},
	{"our own CoreDNS has another address by now", func(_ *Facts, c1, _ *Cluster) {
		forwarding(c1, 2, 2)
		c1.Servers[1].Addresses = []string{"10.96.0.77"}
	}, "c1 dns warning: kube-system/coredns forwards clusterset.local to 10.96.0.53:53, which is not mcs-dns/coredns-multicluster (10.96.0.77) → mcsctl dns"},
	{"NodeLocal DNS forwards to the stock one, and that to ours", func(_ *Facts, c1, _ *Cluster) {
		forwarding(c1, 2, 2)
		c1.Servers = append(c1.Servers, nameserver.Server{Role: nameserver.NodeLocal, Namespace: "kube-system", Name: "node-local-dns",
			Answer: corefile.Answer{State: corefile.Forwarded, Server: "clusterset.local.:53", To: []string{"__PILLAR__CLUSTER__DNS__"}}})
	}, ""},
	{"our own CoreDNS serves", func(_ *Facts, c1, _ *Cluster) { forwarding(c1, 2, 2) }, ""},
	{"the controller is scaled to 0", func(f *Facts, _, _ *Cluster) {
		f.Controller.Deployed, f.Controller.Leases[0].Leader = &members.Controller{}, nil
	},
		" controller wrong: Deployment mcs-controller is scaled to 0 → kubectl scale -n mcs-system deployment/mcs-controller --replicas 2"},
	{"CoreDNS lacks rights (D8)", func(_ *Facts, c1, _ *Cluster) { c1.DNSDenied = []string{"list serviceimports"} }, "c1 dns wrong: may not list serviceimports; the zone is SERVFAIL → deploy/coredns-stock"},
	{"CoreDNS is hidden", func(_ *Facts, _, c2 *Cluster) { c2.Servers, c2.ServersErr = nil, "forbidden" }, "c2 dns unknown: can't be looked at"},
}

// forwarding has the stock CoreDNS forward the zone to one of this project's, with as many pods.
func forwarding(c *Cluster, ready, wanted int32) {
	c.Servers[0].Answer = corefile.Answer{State: corefile.Forwarded, Server: "clusterset.local.:53", To: []string{"10.96.0.53:53"}}
	c.Servers = append(c.Servers, nameserver.Server{Role: nameserver.Own, Namespace: "mcs-dns", Name: "coredns-multicluster", Ready: ready, Wanted: wanted,
		Addresses: []string{"10.96.0.53"}, Answer: corefile.Answer{State: corefile.Served}})
}

func TestJudge(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			f := well()
			c.break_(&f, &f.Clusters[0], &f.Clusters[1])
			var got []finding.Step
			for _, s := range Judge(f) {
				if s.Verdict != finding.OK {
					got = append(got, s)
				}
			}
			if c.want == "" {
				if len(got) > 0 {
					t.Errorf("got %+v, want nothing", got)
				}
				return
			}
			head, rest, _ := strings.Cut(c.want, ": ")
			found, do, _ := strings.Cut(rest, " → ")
			if len(got) != 1 || got[0].Cluster+" "+got[0].Link+" "+string(got[0].Verdict) != head || !strings.Contains(got[0].Found, found) || !strings.Contains(got[0].Do, do) {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}
