package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/shell"

	"k8s.io/apimachinery/pkg/util/version"
)

// maxSkew is how far two clocks may differ: the oldest export wins (SPEC M1).
const maxSkew = 5 * time.Second

// oldest is the oldest version of Kubernetes that the API is for (SPEC A7).
var oldest = version.MustParseSemantic("1.22.0")

// judging is a list of findings in the making.
type judging struct {
	Facts
	steps []finding.Step
}

// Judge says of each thing that is looked at what it is worth.
func Judge(f Facts) []finding.Step {
	j := &judging{Facts: f}
	if f.SecretsErr != nil {
		j.say(nil, "members", finding.Unknown, f.SecretsErr.Error(), "use credentials that may, or --contexts")
	}
	j.controller()
	for i := range f.Clusters {
		j.cluster(&f.Clusters[i])
	}
	j.clocks()
	j.ranges()
	return j.steps
}

func (j *judging) say(c *Cluster, link string, v finding.Verdict, found, do string) {
	s := finding.Step{Link: link, Verdict: v, Found: found, Do: do}
	if c != nil {
		s.Cluster = c.ID
	}
	j.steps = append(j.steps, s)
}

func (j *judging) controller() {
	j.Controller.Now = j.Now
	j.steps = append(j.steps, j.Controller.Runs()...)
}

func (j *judging) cluster(c *Cluster) {
	if c.Down != "" {
		j.say(c, "server", finding.Wrong, "can't be reached from here: "+c.Down, j.reach(c))
		return
	}
	if v, err := version.ParseSemantic(c.Version); err == nil && v.LessThan(oldest) {
		j.say(c, "server", finding.Wrong, c.Version+" is older than 1.22, the oldest that the API is for", "upgrade the cluster")
	} else {
		j.say(c, "server", finding.OK, c.Version, "")
	}
	j.api(c)
	if c.Registered {
		j.rights(c)
	}
	if c.Consumer {
		j.dns(c)
		j.readers(c)
	}
}

// reach is what to do about a cluster that can't be reached.
func (j *judging) reach(c *Cluster) string {
	if !c.Registered {
		return "correct its address and credentials in the kubeconfig"
	}
	return string("correct the address and credentials of its registration: " + shell.At(j.Registering, "mcsctl join %s --from CONTEXT", c.ID))
}

func (j *judging) api(c *Cluster) {
	install := string(shell.At(c.Flags, "kubectl apply --server-side -k deploy/crds"))
	switch {
	case c.Provider && c.Exports == "":
		j.say(c, "api", finding.Wrong, "ServiceExport is not served: the CRD is missing", install)
	case c.Consumer && c.Imports == "":
		j.say(c, "api", finding.Wrong, "ServiceImport is not served: the CRD is missing", install)
	case c.Provider && c.Exports != "v1beta1" || c.Consumer && c.Imports != "v1beta1":
		j.say(c, "api", finding.Warning, "only v1alpha1 is served, in which some fields may be missing", "newer CRDs: "+install)
	default:
		j.say(c, "api", finding.OK, "v1beta1 is served", "")
	}
}

func (j *judging) rights(c *Cluster) {
	again := string(shell.At(j.Registering, "mcsctl join %s --from CONTEXT", c.ID))
	switch {
	case len(c.Denied) > 0:
		j.say(c, "rights", finding.Wrong, "the registered identity may not "+strings.Join(c.Denied, ", "), again)
	case c.NoStatus:
		j.say(c, "rights", finding.Warning, "the registered identity may not write the status of ServiceExports; verdicts stand on the imports alone", "if that is not meant so: "+again)
	default:
		j.say(c, "rights", finding.OK, "the registered identity may what it needs", "")
	}
}

func (j *judging) dns(c *Cluster) {
	if c.ServersErr != "" {
		j.say(c, "dns", finding.Unknown, "CoreDNS can't be looked at: "+c.ServersErr, "")
		return
	}
	if len(c.Servers) == 0 {
		j.say(c, "dns", finding.Unknown, "no ConfigMap kube-system/coredns: this cluster's DNS is something else", "see to it that it sends "+j.Zone+" to a CoreDNS with multicluster (deploy/README.md)")
	}
	for i := range c.Servers {
		j.server(c, &c.Servers[i])
	}
}

// server looks at one name server: its binary, its line, its rights, what it keeps and balances.
func (j *judging) server(c *Cluster, s *nameserver.Server) {
	where := s.Namespace + "/" + s.Name
	switch {
	case strings.Contains(s.Crash, "nknown directive") && strings.Contains(s.Crash, "multicluster"):
		j.say(c, "dns", finding.Wrong, fmt.Sprintf("%s: the image %s does not know the plugin, and does not start with the line", where, s.Image),
			"put the image with the plugin back (an upgrade may have reverted it), or take the line out: deploy/README.md, What brings it back")
		return
	case s.Crash != "":
		j.say(c, "dns", finding.Wrong, where+" does not start: "+s.Crash, string(shell.At(c.Flags, "kubectl logs -n %s deployment/%s", s.Namespace, s.Name)))
		return
	}
	if do := finding.Advice(s, c.Servers, j.Zone, j.Namespace, c.Flags); do != "" {
		j.say(c, "dns", finding.Wrong, finding.Describe(s, j.Zone), do)
		return
	}
	if found, do := finding.Down(s, c.Flags); found != "" {
		j.say(c, "dns", finding.Wrong, found, do)
		return
	}
	if s.Wanted > 0 && s.Ready < s.Wanted {
		j.say(c, "dns", finding.Warning, fmt.Sprintf("%s: %d of %d pods are ready", where, s.Ready, s.Wanted), string(shell.At(c.Flags, "kubectl get pods -n %s", s.Namespace)))
	}
	for _, caveat := range finding.Caveats(s, c.Servers, j.Zone, j.Namespace, c.Flags) {
		j.say(c, "dns", finding.Warning, caveat.Found, caveat.Do)
	}
	if s.Role == nameserver.Stock && s.Answer.State == corefile.Served && len(c.DNSDenied) > 0 {
		j.say(c, "dns", finding.Wrong, where+" may not "+strings.Join(c.DNSDenied, ", ")+"; the zone is SERVFAIL", string(shell.At(c.Flags, "kubectl apply -k deploy/coredns-stock")))
		return
	}
	j.say(c, "dns", finding.OK, finding.Describe(s, j.Zone), "")
}

// clocks compares those of every two clusters.
func (j *judging) clocks() {
	var low, high *Cluster
	for i := range j.Clusters {
		c := &j.Clusters[i]
		if !c.SkewKnown {
			continue
		}
		if low == nil || c.Skew < low.Skew {
			low = c
		}
		if high == nil || c.Skew > high.Skew {
			high = c
		}
	}
	switch {
	case low == nil || low == high:
	case high.Skew-low.Skew > maxSkew:
		j.say(nil, "clocks", finding.Warning, fmt.Sprintf("the clock of %s is %s ahead of that of %s; which export is the oldest is told by them", high.ID, (high.Skew-low.Skew).Round(time.Second), low.ID), "synchronise the clocks of the API servers")
	default:
		j.say(nil, "clocks", finding.OK, fmt.Sprintf("those of all clusters agree to %s", maxSkew), "")
	}
}

// ranges looks for pods of two clusters with the same addresses.
func (j *judging) ranges() {
	var registered, others []string // whose ranges are not known
	clean := true
	for i := range j.Clusters {
		a := &j.Clusters[i]
		switch {
		case len(a.Pods) > 0:
		case a.Registered:
			registered = append(registered, a.ID)
		default:
			others = append(others, a.ID)
		}
		for n := range j.Clusters[:i] {
			b := &j.Clusters[n]
			if x, y, found := overlap(a.Pods, b.Pods); found {
				clean = false
				j.say(nil, "pod-ranges", finding.Wrong, fmt.Sprintf("the pods of %s have %s, those of %s have %s, which overlap", b.ID, y, a.ID, x), "packets between them can't be routed; give one of them another range")
			}
		}
	}
	var do []string
	if len(others) > 0 { // which join refuses
		do = append(do, "compare the pod ranges of "+strings.Join(others, ", ")+" with those of the others by hand")
	}
	if len(registered) > 0 {
		do = append(do, string("note them: "+shell.At(j.Registering, "mcsctl join %s --from CONTEXT --pod-cidrs RANGES", registered[0])))
	}
	switch {
	case len(do) > 0:
		j.say(nil, "pod-ranges", finding.Unknown, "not known of "+strings.Join(slices.Concat(others, registered), ", ")+": no node tells them", strings.Join(do, "; "))
	case clean:
		j.say(nil, "pod-ranges", finding.OK, "no two clusters share addresses", "")
	}
}

func overlap(a, b []netip.Prefix) (x, y netip.Prefix, found bool) {
	for _, x := range a {
		for _, y := range b {
			if x.Overlaps(y) {
				return x, y, true
			}
		}
	}
	return x, y, false
}
