package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// resolved looks at the last part of the way: CoreDNS, its answer, a connection.
func (d *diagnosis) resolved(c *Cluster) {
	pod := d.pod(c)
	d.directive(c)
	d.reply(c, pod)
	for _, try := range c.Connects {
		if try.Err != "" {
			d.look(c, "connect", finding.Wrong, try.Address+": "+try.Err,
				"are the pod networks routed to each other, and is this machine in one of them? to try from inside, use a pod")
			continue
		}
		d.look(c, "connect", finding.OK, fmt.Sprintf("%s accepts connections, %s", try.Address, try.Took.Round(time.Millisecond)), "")
	}
}

// directive looks at the Corefiles that the names go through.
func (d *diagnosis) directive(c *Cluster) {
	if d.unread(c, "coredns", "nameservers") {
		return
	}
	if len(c.Servers) == 0 {
		d.look(c, "coredns", finding.Unknown, "no ConfigMap kube-system/coredns: this cluster's DNS is something else",
			fmt.Sprintf("it has to send %s to a CoreDNS with multicluster (deploy/README.md); ask it with --dns ADDRESS", d.Zone))
		return
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		if do := finding.Advice(s, c.Servers, d.Zone, d.Namespace, c.Flags); do != "" {
			d.look(c, "coredns", finding.Wrong, finding.Describe(s, d.Zone), do)
			continue
		}
		if found, do := finding.Down(s, c.Flags); found != "" {
			d.look(c, "coredns", finding.Wrong, found, do)
			continue
		}
		for _, caveat := range finding.Caveats(s, c.Servers, d.Zone, d.Namespace, c.Flags) {
			d.look(c, "coredns", finding.Warning, caveat.Found, caveat.Do)
		}
		d.look(c, "coredns", finding.OK, finding.Describe(s, d.Zone), "")
	}
}

// reply compares what DNS said with what it should; pod are the addresses of the pod that was asked for.
func (d *diagnosis) reply(c *Cluster, pod []string) {
	if c.AskErr != "" {
		d.look(c, "dns", finding.Unknown, "not asked: "+c.AskErr, "")
	}
	if u := c.Unanswered; u != nil {
		within := ""
		if u.After >= time.Second { // otherwise it was refused, say
			within = fmt.Sprintf(" within %.0f s", u.After.Seconds())
		}
		d.look(c, "dns", finding.Wrong, fmt.Sprintf("%s did not answer%s: %s", u.Via, within, u.Err), unanswered(c, u))
	}
	r := c.Reply
	if r == nil {
		return
	}
	want := d.expected(c)
	if d.Sub != "" {
		want = pod
	}
	said := r.Rcode
	if len(r.Addresses) > 0 {
		said = few(r.Addresses)
	}
	switch {
	case d.Sub != "" && c.Import.Spec.Type == mcs.Headless && c.Unread["endpointslices"] != "" && r.Rcode != "SERVFAIL" && r.Rcode != "REFUSED":
		d.look(c, "dns", finding.Unknown, fmt.Sprintf("%s says %s, which can't be compared: the EndpointSlices were not read", r.Via, cmp.Or(said, "nothing")), "")
	case d.Sub != "" && len(pod) == 0 && len(r.Addresses) == 0 && (r.Rcode == "NXDOMAIN" || r.Rcode == "NOERROR"):
		d.look(c, "dns", finding.None, fmt.Sprintf("%s says %s, as it should", r.Via, r.Rcode), "")
	case r.Rcode == "NOERROR" && slices.Equal(r.Addresses, want):
		d.look(c, "dns", finding.OK, fmt.Sprintf("%s says %s, %s", r.Via, said, r.Took.Round(time.Millisecond)), "")
	case r.Rcode == "SERVFAIL":
		if to := nameserver.Ours(c.Servers); to != nil && slices.ContainsFunc(c.Servers, func(s nameserver.Server) bool { return s.Answer.State == corefile.Forwarded }) {
			d.look(c, "dns", finding.Wrong, fmt.Sprintf("%s says SERVFAIL: %s/%s, to which it forwards, does not answer, or has not read the ServiceImports and EndpointSlices yet", r.Via, to.Namespace, to.Name),
				string("its log says which: "+shell.At(c.Flags, "kubectl logs -n %s deployment/%s", to.Namespace, to.Name)))
			return
		}
		d.look(c, "dns", finding.Wrong, r.Via+" says SERVFAIL: it has not read the ServiceImports and EndpointSlices yet",
			string("it lacks the CRDs or the right to read them: "+shell.At(c.Flags, "kubectl apply -k deploy/coredns-stock")+"; its log says which"))
	case r.Rcode == "NXDOMAIN" || r.Rcode == "REFUSED" || len(r.Addresses) == 0:
		d.look(c, "dns", finding.Wrong, fmt.Sprintf("%s says %s, want %s", r.Via, cmp.Or(said, "nothing"), few(want)),
			"does it run the image with the plugin, and has it reloaded its Corefile? else wait out the caches, a few seconds")
	case c.Service != nil && slices.Equal(r.Addresses, slices.Sorted(slices.Values(addressesOf(c.Service)))):
		d.look(c, "dns", finding.Wrong, fmt.Sprintf("%s says %s, the address of this cluster's own Service, want %s", r.Via, said, few(want)),
			"the plugin kubernetes answers for the zone: take the zone out of its line, and add the line multicluster "+d.Zone)
	default:
		d.look(c, "dns", finding.Wrong, fmt.Sprintf("%s says %s, want %s", r.Via, said, few(want)), "wait out the caches, a few seconds; if it stays so, the server lags behind: look at its log")
	}
}

// unanswered is where to look when a name server does not reply: its log, and where the zone is forwarded to, that server's pods.
func unanswered(c *Cluster, u *nameserver.Unanswered) string {
	if u.Pod == "" {
		return "is that the address of a name server, and does this machine reach it?"
	}
	do := "look at its log: " + shell.At(c.Flags, "kubectl logs -n kube-system %s", u.Pod)
	if s := nameserver.Ours(c.Servers); s != nil {
		do += shell.Command("; it forwards to the pods of %s/%s: ", s.Namespace, s.Name) + shell.At(c.Flags, "kubectl get pods -n %s -l app.kubernetes.io/name=%s", s.Namespace, s.Name)
	}
	return string(do)
}

// expected are the addresses that DNS should give out: those of the import, or, where it is headless, of the ready endpoints
// of the lowest rank that has any (SPEC P3).
func (d *diagnosis) expected(c *Cluster) []string {
	if c.Import.Spec.Type != mcs.Headless {
		return slices.Sorted(slices.Values(c.Import.Spec.IPs))
	}
	ranks := map[uint64]map[string]bool{}
	for i := range c.Imported {
		rank, _ := strconv.ParseUint(c.Imported[i].Annotations[mcsapi.AnnotationRank], 10, 31) // 0 where there is none
		if ranks[rank] == nil {
			ranks[rank] = map[string]bool{}
		}
		count(&c.Imported[i], ranks[rank])
	}
	for _, rank := range slices.Sorted(maps.Keys(ranks)) {
		if ready, _ := split(ranks[rank]); len(ready) > 0 {
			return ready
		}
	}
	return nil
}

// few lists the first of many.
func few(list []string) string {
	const most = 5
	if len(list) == 0 {
		return "nothing"
	}
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
}

func difference(a, b []string) []string {
	of := make(map[string]bool, len(b))
	for _, s := range b {
		of[s] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return of[s] })
}

func sortedKeys[A, B any](a map[string]A, b map[string]B) []string {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return slices.Sorted(maps.Keys(keys))
}
