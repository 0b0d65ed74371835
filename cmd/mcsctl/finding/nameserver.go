package finding

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/shell"
)

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
		return where + " is scaled to 0", string(shell.At(flags, "kubectl scale -n %s deployment/%s --replicas 2", s.Namespace, s.Name))
	}
	found = "no pod of " + where + " is ready"
	if s.Crash != "" {
		found += ": " + s.Crash
	}
	return found, string(shell.At(flags, "kubectl logs -n %s deployment/%s", s.Namespace, s.Name))
}

// Advice is what to do where a name server, one of those of its cluster, does not get the zone answered, and "" where it does. flags are
// those of its cluster, namespace is the controller's.
func Advice(s *nameserver.Server, servers []nameserver.Server, zone, namespace string, flags shell.Text) string {
	name := strings.TrimSuffix(zone, ".")
	edit := editing(s, flags)
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
	if s.Role == nameserver.Stock && nameserver.Ours(servers) != nil {
		return string("have it forward the zone: " + shell.At(flags+members.Besides(namespace, zone), "mcsctl dns"))
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
func Caveats(s *nameserver.Server, servers []nameserver.Server, zone, namespace string, flags shell.Text) (caveats []Caveat) {
	a := &s.Answer
	if !a.Works() {
		return nil
	}
	name, where := strings.TrimSuffix(zone, "."), s.Namespace+"/"+s.Name
	if to := nameserver.Ours(servers); s.Role == nameserver.Stock && a.State == corefile.Forwarded && to != nil && len(to.Addresses) > 0 && !forwards(a.To, to.Addresses) {
		caveats = append(caveats, Caveat{fmt.Sprintf("%s forwards %s to %s, which is not %s/%s (%s)", where, name, strings.Join(a.To, ", "),
			to.Namespace, to.Name, strings.Join(to.Addresses, ", ")), string("if that is not meant so: " + shell.At(flags+members.Besides(namespace, zone), "mcsctl dns"))})
	}
	if a.TTL > maxTTL {
		caveats = append(caveats, Caveat{fmt.Sprintf("%s lets answers last %s, during which clients do not see a change", where, a.TTL),
			"a shorter ttl of multicluster: " + editing(s, flags)})
	}
	if len(a.Cached) > 0 {
		do := "take the directive cache out of the block: " + editing(s, flags)
		if !strings.HasPrefix(a.Server, corefile.Zone(zone)+":") { // other zones of the block need their cache
			do = fmt.Sprintf("in the block of the directive cache, add %s to the lines disable %s, or add these lines: %s",
				name, strings.Join(a.Cached, " and disable "), editing(s, flags))
		}
		caveats = append(caveats, Caveat{fmt.Sprintf("the server block %s of %s caches answers for %s (%s): clients get addresses of pods that are gone",
			a.Server, where, name, strings.Join(a.Cached, ", ")), do})
	}
	if a.Unbalanced {
		caveats = append(caveats, Caveat{fmt.Sprintf("the server block %s of %s lacks loadbalance: clients may all prefer one address of a headless service", a.Server, where),
			"add the line loadbalance to the block: " + editing(s, flags)})
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
func editing(s *nameserver.Server, flags shell.Text) string {
	return string(shell.At(flags, "kubectl edit configmap -n %s %s", s.Namespace, cmp.Or(s.ConfigMap, s.Name)))
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
