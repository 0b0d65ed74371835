package explain

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// resolved looks at the last part of the way: CoreDNS, its answer, a connection.
func (d *diagnosis) resolved(c *Cluster) {
	d.directive(c)
	d.reply(c)
	for _, try := range c.Connects {
		if try.Err != "" {
			d.look(c, "connect", Wrong, try.Address+": "+try.Err,
				"are the pod networks routed to each other, and is this machine in one of them? to try from inside: kubectl exec into a pod")
			continue
		}
		d.look(c, "connect", OK, fmt.Sprintf("%s accepts connections, %s", try.Address, try.Took.Round(time.Millisecond)), "")
	}
}

// directive looks at the Corefiles that the names go through.
func (d *diagnosis) directive(c *Cluster) {
	if d.unread(c, "coredns", "nameservers") {
		return
	}
	if len(c.Servers) == 0 {
		d.look(c, "coredns", Unknown, "no ConfigMap kube-system/coredns: this cluster's DNS is something else",
			fmt.Sprintf("it has to send %s to a CoreDNS with multicluster (deploy/README.md); ask it with --dns ADDRESS", d.Zone))
		return
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		if do := Advice(s, c.Servers, d.Zone, c.Flags); do != "" {
			d.look(c, "coredns", Wrong, Describe(s, d.Zone), do)
			continue
		}
		if found, do := Down(s, c.Flags); found != "" {
			d.look(c, "coredns", Wrong, found, do)
			continue
		}
		for _, caveat := range Caveats(s, c.Servers, d.Zone, c.Flags) {
			d.look(c, "coredns", Warning, caveat.Found, caveat.Do)
		}
		d.look(c, "coredns", OK, Describe(s, d.Zone), "")
	}
}

// Describe says in one line what a name server does with the zone.
func Describe(s *nameserver.Server, zone string) string {
	where := s.Namespace + "/" + s.Name
	a := &s.Answer
	switch a.State {
	case corefile.Served:
		return where + " answers for " + zone
	case corefile.Forwarded:
		return fmt.Sprintf("%s forwards %s to %s", where, zone, strings.Join(a.To, ", "))
	case corefile.ServedByKubernetes:
		return fmt.Sprintf("%s answers for %s by its own plugin kubernetes", where, zone)
	case corefile.Captured:
		return fmt.Sprintf("the server block %s of %s takes the names of %s, and has no directive multicluster; another block does", a.Server, where, zone)
	case corefile.Claimed:
		return fmt.Sprintf("the directive kubernetes of %s claims %s, and answers that nothing is there", where, zone)
	case corefile.OtherZone:
		return fmt.Sprintf("the directive multicluster of %s is for %s, not for %s", where, strings.Join(a.To, ", "), zone)
	}
	return fmt.Sprintf("the Corefile of %s has no line for %s", where, zone)
}

// Down says that no pod of a name server is ready, and what to do; "" where that is not so, or not known.
func Down(s *nameserver.Server, flags shell.Text) (found, do string) {
	where := s.Namespace + "/" + s.Name
	switch {
	case s.Ready > 0 || s.Wanted == 0 && s.Role != nameserver.Own:
		return "", ""
	case s.Wanted == 0:
		return where + " is scaled to 0", string(shell.Command("kubectl scale -n %s deployment/%s --replicas 2%s", s.Namespace, s.Name, flags))
	}
	found = "no pod of " + where + " is ready"
	if s.Crash != "" {
		found += ": " + s.Crash
	}
	return found, string(shell.Command("kubectl logs -n %s deployment/%s%s", s.Namespace, s.Name, flags))
}

// own returns the CoreDNS of this project's among the name servers of a cluster, or nil.
func own(servers []nameserver.Server) *nameserver.Server {
	if at := slices.IndexFunc(servers, func(s nameserver.Server) bool { return s.Role == nameserver.Own }); at >= 0 {
		return &servers[at]
	}
	return nil
}

// Advice is what to do where a name server, one of those of its cluster, does not get the zone answered, and "" where it does.
func Advice(s *nameserver.Server, servers []nameserver.Server, zone string, flags shell.Text) string {
	name := strings.TrimSuffix(zone, ".")
	edit := editing(s)
	switch a := &s.Answer; {
	case a.Works():
		return ""
	case s.Role == nameserver.NodeLocal:
		return "names of the zone leave the cluster from the cache on the node; give it a server block for " + name + " (deploy/README.md, NodeLocal DNS)"
	case a.State == corefile.Captured:
		return fmt.Sprintf("move the line multicluster %s into that block, or take the block out: %s", name, edit)
	case a.State == corefile.Claimed:
		return fmt.Sprintf("take %s out of the line kubernetes, and add the line multicluster %s: %s", name, name, edit)
	case a.State == corefile.OtherZone:
		return fmt.Sprintf("add %s to the line, or look with %s", name, shell.Command("--zone %s", strings.TrimSuffix(cmp.Or(first(a.To), zone), ".")))
	}
	if s.Role == nameserver.Stock && own(servers) != nil {
		return string(shell.Command("have it forward the zone: mcsctl dns%s", flags))
	}
	return fmt.Sprintf("once its image has the plugin, add the line multicluster %s: %s (was it there? see what reverts it in deploy/README.md)", name, edit)
}

// Caveat is a reason why clients of a name server that gets the zone answered see old addresses, or all the same one first.
type Caveat struct {
	Found string
	Do    string // what to write instead, and where
}

// maxTTL is how long an answer may live: afterwards nobody remembers the change that it does not show.
const maxTTL = 30 * time.Second

// Caveats lists where a name server that gets the zone answered is not set up as this project recommends (SPEC D18).
func Caveats(s *nameserver.Server, servers []nameserver.Server, zone string, flags shell.Text) (caveats []Caveat) {
	a := &s.Answer
	if !a.Works() {
		return nil
	}
	name, where := strings.TrimSuffix(zone, "."), s.Namespace+"/"+s.Name
	if to := own(servers); s.Role == nameserver.Stock && a.State == corefile.Forwarded && to != nil && len(to.Addresses) > 0 && !forwards(a.To, to.Addresses) {
		caveats = append(caveats, Caveat{fmt.Sprintf("%s forwards %s to %s, which is not %s/%s (%s)", where, name, strings.Join(a.To, ", "),
			to.Namespace, to.Name, strings.Join(to.Addresses, ", ")), string(shell.Command("if that is not meant so: mcsctl dns%s", flags))})
	}
	if a.TTL > maxTTL {
		caveats = append(caveats, Caveat{fmt.Sprintf("%s lets answers last %s, during which clients do not see a change", where, a.TTL),
			"a shorter ttl of multicluster: " + editing(s)})
	}
	if len(a.Cached) > 0 {
		do := "take the directive cache out of the block: " + editing(s)
		if !strings.HasPrefix(a.Server, corefile.Zone(zone)+":") { // other zones of the block need their cache
			do = fmt.Sprintf("in the block of the directive cache, add %s to the lines disable %s, or add these lines: %s",
				name, strings.Join(a.Cached, " and disable "), editing(s))
		}
		caveats = append(caveats, Caveat{fmt.Sprintf("the server block %s of %s caches answers for %s (%s): clients get addresses of pods that are gone",
			a.Server, where, name, strings.Join(a.Cached, ", ")), do})
	}
	if a.Unbalanced {
		caveats = append(caveats, Caveat{fmt.Sprintf("the server block %s of %s lacks loadbalance: clients may all prefer one address of a headless service", a.Server, where),
			"add the line loadbalance to the block: " + editing(s)})
	}
	return caveats
}

// forwards reports whether one of the upstreams of a forward directive is one of the addresses.
func forwards(upstreams, addresses []string) bool {
	return slices.ContainsFunc(upstreams, func(to string) bool {
		if at, err := netip.ParseAddrPort(to); err == nil {
			to = at.Addr().String()
		}
		return slices.Contains(addresses, to)
	})
}

// editing is the command that opens the Corefile of a name server.
func editing(s *nameserver.Server) string {
	return string(shell.Command("kubectl edit configmap -n %s %s", s.Namespace, cmp.Or(s.ConfigMap, s.Name)))
}

// reply compares what DNS said with what it should.
func (d *diagnosis) reply(c *Cluster) {
	if c.AskErr != "" {
		d.look(c, "dns", Unknown, "not asked: "+c.AskErr, "")
	}
	if u := c.Unanswered; u != nil {
		within := ""
		if u.After >= time.Second { // otherwise it was refused, say
			within = fmt.Sprintf(" within %.0f s", u.After.Seconds())
		}
		d.look(c, "dns", Wrong, fmt.Sprintf("%s did not answer%s: %s", u.Via, within, u.Err), unanswered(c, u))
	}
	r := c.Reply
	if r == nil {
		return
	}
	want := d.expected(c)
	said := r.Rcode
	if len(r.Addresses) > 0 {
		said = few(r.Addresses)
	}
	switch {
	case r.Rcode == "NOERROR" && slices.Equal(r.Addresses, want):
		d.look(c, "dns", OK, fmt.Sprintf("%s says %s, %s", r.Via, said, r.Took.Round(time.Millisecond)), "")
	case r.Rcode == "SERVFAIL":
		if to := own(c.Servers); to != nil && slices.ContainsFunc(c.Servers, func(s nameserver.Server) bool { return s.Answer.State == corefile.Forwarded }) {
			d.look(c, "dns", Wrong, fmt.Sprintf("%s says SERVFAIL: %s/%s, to which it forwards, does not answer, or has not read the ServiceImports and EndpointSlices yet", r.Via, to.Namespace, to.Name),
				string(shell.Command("its log says which: kubectl logs -n %s deployment/%s%s", to.Namespace, to.Name, c.Flags)))
			return
		}
		d.look(c, "dns", Wrong, r.Via+" says SERVFAIL: it has not read the ServiceImports and EndpointSlices yet",
			string("it lacks the CRDs or the right to read them: "+shell.Command("kubectl apply -k deploy/coredns-stock%s", c.Flags)+"; its log says which"))
	case r.Rcode == "NXDOMAIN" || r.Rcode == "REFUSED" || len(r.Addresses) == 0:
		d.look(c, "dns", Wrong, fmt.Sprintf("%s says %s, want %s", r.Via, cmp.Or(said, "nothing"), few(want)),
			"does it run the image with the plugin, and has it reloaded its Corefile? else wait out the caches, a few seconds")
	case c.Service != nil && slices.Equal(r.Addresses, slices.Sorted(slices.Values(addressesOf(c.Service)))):
		d.look(c, "dns", Wrong, fmt.Sprintf("%s says %s, the address of this cluster's own Service, want %s", r.Via, said, few(want)),
			"the plugin kubernetes answers for the zone: take the zone out of its line, and add the line multicluster "+d.Zone)
	default:
		d.look(c, "dns", Wrong, fmt.Sprintf("%s says %s, want %s", r.Via, said, few(want)), "wait out the caches, a few seconds; if it stays so, the server lags behind: look at its log")
	}
}

// unanswered is where to look when a name server does not reply: its log, and where the zone is forwarded to, that server's pods.
func unanswered(c *Cluster, u *nameserver.Unanswered) string {
	if u.Pod == "" {
		return "is that the address of a name server, and does this machine reach it?"
	}
	do := "look at its log: " + shell.Command("kubectl logs -n kube-system %s%s", u.Pod, c.Flags)
	if s := own(c.Servers); s != nil {
		do += shell.Command("; it forwards to the pods of %s/%s: kubectl get pods -n %s -l app.kubernetes.io/name=%s%s", s.Namespace, s.Name, s.Namespace, s.Name, c.Flags)
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

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
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
