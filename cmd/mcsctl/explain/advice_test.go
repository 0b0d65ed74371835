package explain

import (
	"regexp"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// hostile are names that do something when a shell sees them outside of quotes; harm is what must not be there then.
var (
	hostile = []string{"a;touch hurt", "$(id)", "`id`", "a\nid", "--evil=x", "it's;touch hurt"}
	harm    = regexp.MustCompile("touch hurt|[$`\n]|(^| )--evil")
	quoted  = regexp.MustCompile(`\\'|'[^']*'`)
	command = regexp.MustCompile(`(kubectl|mcsctl) [a-z]+|--zone`)
)

// TestAdvice_X2: whatever names a cluster, a kubeconfig or an argument has, each is one word of the commands in advice.
func TestAdvice_X2(t *testing.T) {
	commands := map[string]bool{}
	for _, bad := range hostile {
		flags := (&members.Cluster{Context: bad}).Flags()
		for _, c := range append(broken, struct {
			name   string
			break_ func(f *Facts, c1, c2 *Cluster)
			want   string
		}{name: "a zone of somebody else", break_: func(_ *Facts, _, c2 *Cluster) {
			c2.Servers[0].Answer = corefile.Answer{State: corefile.OtherZone, To: []string{bad}}
		}}) {
			f := well()
			c.break_(f, &f.Clusters[0], &f.Clusters[1])
			f.Namespace, f.Zone, f.Runs.Namespace = bad, bad, bad
			f.Key.Name, f.Key.Namespace = bad, bad
			for i := range f.Clusters {
				c := &f.Clusters[i]
				c.Flags = flags
				if c.Service != nil {
					c.Service.Spec.Selector = map[string]string{"app": bad}
				}
				if c.Import != nil && c.Import.Annotations[mcsapi.AnnotationExports] == "" {
					c.Import.Annotations = map[string]string{mcsapi.AnnotationDerivedService: bad}
				}
				for n := range c.Servers {
					c.Servers[n].Namespace, c.Servers[n].Name, c.Servers[n].ConfigMap = bad, bad, bad
				}
				if u := c.Unanswered; u != nil {
					c.Unanswered = &nameserver.Unanswered{Via: u.Via, Pod: bad, Err: u.Err}
				}
			}
			for _, s := range Diagnose(*f).Steps {
				at := command.FindStringIndex(s.Do)
				if at == nil {
					continue
				}
				bare := quoted.ReplaceAllString(s.Do[at[0]:], "")
				commands[s.Do[at[0]:at[1]]] = true
				if harm.MatchString(bare) {
					t.Errorf("%s, %q: a shell takes more than a word from %s", c.name, bad, s.Do)
				}
			}
		}
	}
	if len(commands) < 10 {
		t.Errorf("only these commands were advised: %v", commands)
	}
}
