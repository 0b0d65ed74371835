package finding

import (
	"fmt"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/shell"
)

// Controller is what shows whether a controller runs for a clusterset.
type Controller struct {
	// Deployed is the Deployment at home; nil where there is none, or none may be read: the controller may run elsewhere.
	Deployed *members.Controller
	// Leases are those at home, or else those of each importing cluster.
	Leases []members.Leases
	// Registered counts the Secrets that register members; Unread says that they could not be read. Fleet says that they register
	// members that are imported into.
	Registered    int
	Unread, Fleet bool
	// Imports counts the ServiceImports, by cluster.
	Imports   map[string]int
	Namespace string
	// Flags make kubectl act on the home.
	Flags shell.Text
	Now   time.Time
}

// ControllerOf is what a set of clusters shows of its controller.
func ControllerOf(set *members.Set, leases []members.Leases, now time.Time) Controller {
	return Controller{Deployed: set.Controller, Leases: leases, Registered: len(set.Secrets), Unread: set.SecretsErr != nil, Fleet: set.Fleet(),
		Imports: map[string]int{}, Namespace: set.Namespace, Flags: set.Flags(), Now: now}
}

// withoutOne is what it costs that no controller runs (SPEC L4).
const withoutOne = "names and traffic stay as they are, but no change of an export, an import or an endpoint reaches any cluster"

// Runs judges whether a controller runs. Its Deployment shows what should run; only the Leases that a controller keeps renewing show
// that one does, and they do so wherever it runs (SPEC X8).
func (c *Controller) Runs() (steps []Step) {
	if d := c.Deployed; d != nil {
		step := c.deployed(d)
		steps = append(steps, step)
		if d.Replicas == 0 && step.Verdict == Wrong {
			return steps // which is why nobody leads
		}
	}
	for i := range c.Leases {
		steps = append(steps, c.leads(&c.Leases[i]))
	}
	return steps
}

func (c *Controller) logs() string {
	return string(shell.At(c.Flags, "kubectl logs -n %s deployment/mcs-controller", c.Namespace))
}

// deployed judges the Deployment.
func (c *Controller) deployed(d *members.Controller) Step {
	s := Step{Link: "controller", Verdict: OK, Found: fmt.Sprintf("%d of %d replicas are ready", d.Ready, d.Replicas)}
	switch {
	case d.Replicas == 0:
		s.Verdict, s.Found = Wrong, "Deployment mcs-controller is scaled to 0; "+withoutOne
		s.Do = string(shell.At(c.Flags, "kubectl scale -n %s deployment/mcs-controller --replicas 2", c.Namespace))
	case d.Ready < d.Replicas:
		s.Verdict, s.Do = Wrong, c.logs()
	}
	return s
}

// leads judges the Leases of the home, or of one importing cluster.
func (c *Controller) leads(l *members.Leases) Step {
	s := func(link string, v Verdict, found, do string) Step {
		return Step{Cluster: l.In, Link: link, Verdict: v, Found: found, Do: do}
	}
	imports := 0
	for in, n := range c.Imports {
		if l.In == "" || l.In == in {
			imports += n
		}
	}
	switch {
	case l.Leader.Held(c.Now):
		return s("lease", OK, l.Leader.Holder+" leads", "")
	case c.Deployed == nil && l.Kept.Held(c.Now) && (l.Leader == nil || l.Kept.Renewed.After(l.Leader.Renewed.Add(l.Leader.Lasts))):
		return s("lease", OK, fmt.Sprintf("a controller that runs elsewhere renewed its Leases in namespace %s %s ago", c.Namespace, Ago(c.Now.Sub(l.Kept.Renewed))), "")
	case l.Leader == nil && l.Hidden:
		return s("lease", Unknown, fmt.Sprintf("whether a controller runs is not known: the Leases of namespace %s can't be read", c.Namespace),
			"use credentials with permission to list them")
	case c.Deployed != nil:
		return s("lease", Wrong, never(l, c, "no replica of the controller leads", "no replica of the controller has led")+"; "+withoutOne, c.logs())
	case c.Registered == 0 && imports == 0 && c.Unread:
		return s("controller", Unknown, "no controller runs, and whether one is needed is not known: the registrations were not read", "use credentials with permission to list them")
	case c.Registered == 0 && imports == 0:
		return s("controller", None, "none runs, and none is needed: no member is registered, and nothing is imported", "")
	}
	return s("controller", Wrong, never(l, c, "no controller runs", "no controller has run")+", although "+c.needed()+"; "+withoutOne, c.start(l))
}

// never says that something is not, or has not been since when: what was written last to a Lease tells, whether it ran out or was
// released.
func never(l *members.Leases, c *Controller, is, has string) string {
	last := l.Leader
	if kept := l.Kept; kept != nil && (last == nil || kept.Renewed.After(last.Renewed)) {
		last = kept
	}
	where := ""
	if l.In != "" {
		where = " for " + l.In
	}
	if last == nil {
		return fmt.Sprintf("%s%s (no Lease of one is in namespace %s)", is, where, c.Namespace)
	}
	return fmt.Sprintf("%s%s since %s (%s ago, by Lease %s)", has, where, last.Renewed.UTC().Format(time.RFC3339), Ago(c.Now.Sub(last.Renewed)), last.Name)
}

func (c *Controller) needed() string {
	if c.Registered > 0 {
		return "members are registered"
	}
	return "ServiceImports exist"
}

// start is how to install a controller. The folders of deploy/ for one cluster name an id, which is seldom that of the cluster at hand.
func (c *Controller) start(l *members.Leases) string {
	switch {
	case c.Registered > 0 && c.Fleet:
		return string("install it: " + shell.At(c.Flags, "kubectl apply -k deploy/fleet") + "; if it runs outside of this cluster, start it there")
	case c.Registered > 0:
		return "install one with this cluster's own id (docs/install.md); if it runs outside of this cluster, start it there"
	case l.In != "":
		return string("install one with this cluster's own id (docs/install.md); if one runs elsewhere, for a hub, use the --context of its cluster; to see what there is:" +
			shell.At(l.Flags, " kubectl get leases -n %s", c.Namespace))
	}
	return "install one with this cluster's own id (docs/install.md); if one runs elsewhere, use the --context of its cluster"
}

// Ago is a duration as people say it: "3s", "5m", "2d".
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
