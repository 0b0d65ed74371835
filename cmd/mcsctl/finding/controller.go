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
	Leases   members.Leases
	// Registered and Imports count what needs a controller: Secrets that register members, and ServiceImports.
	Registered, Imports int
	Namespace           string
	// Flags make kubectl act on the home.
	Flags shell.Text
	Now   time.Time
}

// withoutOne is what it costs that no controller runs (SPEC L4).
const withoutOne = "names and traffic stay as they are, but no change of an export, an import or an endpoint reaches any cluster"

// Runs judges whether a controller runs. Its Deployment shows what should run; only the Leases that a controller keeps renewing show
// that one does, and they do so wherever it runs (SPEC X8).
func (c *Controller) Runs() (steps []Step) {
	say := func(link string, v Verdict, found, do string) {
		steps = append(steps, Step{Link: link, Verdict: v, Found: found, Do: do})
	}
	logs := string(shell.At(c.Flags, "kubectl logs -n %s deployment/mcs-controller", c.Namespace))
	if d := c.Deployed; d != nil {
		switch {
		case d.Replicas == 0:
			say("controller", Wrong, "Deployment mcs-controller is scaled to 0",
				string(shell.At(c.Flags, "kubectl scale -n %s deployment/mcs-controller --replicas 2", c.Namespace)))
		case d.Ready < d.Replicas:
			say("controller", Wrong, fmt.Sprintf("%d of %d replicas are ready", d.Ready, d.Replicas), logs)
		default:
			say("controller", OK, fmt.Sprintf("%d of %d replicas are ready", d.Ready, d.Replicas), "")
		}
	}
	l := &c.Leases
	switch {
	case l.Leader.Held(c.Now):
		say("lease", OK, l.Leader.Holder+" leads", "")
	case c.Deployed == nil && l.Kept.Held(c.Now) && (l.Leader == nil || l.Kept.Renewed.After(l.Leader.Renewed.Add(l.Leader.Lasts))):
		say("lease", OK, fmt.Sprintf("a controller that runs elsewhere renewed its Leases in namespace %s %s ago", c.Namespace, Ago(c.Now.Sub(l.Kept.Renewed))), "")
	case l.Leader == nil && l.Hidden:
		say("lease", Unknown, fmt.Sprintf("whether a controller runs is not known: the Leases of namespace %s can't be read", c.Namespace),
			"use credentials with permission to list them")
	case c.Deployed != nil:
		say("lease", Wrong, c.never("no replica of the controller leads", "no replica of the controller has led")+"; "+withoutOne, logs)
	case c.Registered == 0 && c.Imports == 0:
		say("controller", None, "none runs, and none is needed: no member is registered, and nothing is imported", "")
	default:
		say("controller", Wrong, c.never("no controller runs", "no controller has run")+", although "+c.needed()+"; "+withoutOne, c.start())
	}
	return steps
}

// never says that something is not, or has not been since when: what was written last to a Lease tells, whether it ran out or was
// released.
func (c *Controller) never(is, has string) string {
	last := c.Leases.Leader
	if kept := c.Leases.Kept; kept != nil && (last == nil || kept.Renewed.After(last.Renewed)) {
		last = kept
	}
	if last == nil {
		return fmt.Sprintf("%s (no Lease of one is in namespace %s)", is, c.Namespace)
	}
	return fmt.Sprintf("%s since %s (%s ago, by Lease %s)", has, last.Renewed.UTC().Format(time.RFC3339), Ago(c.Now.Sub(last.Renewed)), last.Name)
}

func (c *Controller) needed() string {
	if c.Registered > 0 {
		return "members are registered"
	}
	return "ServiceImports exist"
}

func (c *Controller) start() string {
	install := shell.At(c.Flags, "kubectl apply -k deploy/overlays/both") + " (docs/install.md)"
	if c.Registered == 0 {
		return string("install one: " + install + "; if one runs elsewhere, use the --context of its cluster")
	}
	return string("install it: " + install + "; if it runs outside of this cluster, start it there")
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
