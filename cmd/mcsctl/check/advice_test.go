package check

import (
	"regexp"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
)

// TestAdvice_X2: whatever names a cluster, a kubeconfig or an argument has, each is one word of the commands in advice.
func TestAdvice_X2(t *testing.T) {
	harm, quoted, command := regexp.MustCompile("touch hurt|[$`\n]|(^| )--evil"), regexp.MustCompile(`\\'|'[^']*'`), regexp.MustCompile(`(kubectl|mcsctl) [a-z]|--zone `)
	commands := 0
	for _, bad := range []string{"a;touch hurt", "$(id)", "`id`", "a\nid", "--evil=x", "it's;touch hurt"} {
		for _, c := range broken {
			f := well()
			c.break_(&f, &f.Clusters[0], &f.Clusters[1])
			f.Namespace, f.Zone, f.Controller.Namespace = bad, bad, bad
			for i := range f.Clusters {
				c := &f.Clusters[i]
				c.ID, c.Flags = bad, (&members.Cluster{Context: bad}).Flags()
				for n := range c.Servers {
					c.Servers[n].Namespace, c.Servers[n].Name, c.Servers[n].ConfigMap = bad, bad, bad
				}
			}
			for _, s := range Judge(f) {
				at := command.FindStringIndex(s.Do)
				if at == nil {
					continue
				}
				commands++
				if harm.MatchString(quoted.ReplaceAllString(s.Do[at[0]:], "")) {
					t.Errorf("%s, %q: a shell takes more than a word from %s", c.name, bad, s.Do)
				}
			}
		}
	}
	if commands < 50 {
		t.Errorf("only %d commands were advised", commands)
	}
}
