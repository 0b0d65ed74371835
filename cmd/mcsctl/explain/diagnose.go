package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/shell"
)

// diagnosis is a report in the making.
type diagnosis struct {
	Facts
	steps []finding.Step
	// exports are the valid ones; endpoints are the ready ones' addresses, by exporting cluster.
	exports   []merge.Export
	merged    merge.Result
	endpoints map[string][]string
	// recalled says that some of the exports are only remembered.
	recalled bool
}

// Diagnose looks at the chain link by link, in the order in which things must happen for a name to be answered.
func Diagnose(f Facts) Report {
	d := &diagnosis{Facts: f, endpoints: map[string][]string{}}
	d.exporting()
	d.merging()
	d.importing()
	r := Report{Name: f.Key.String(), Domain: domain(f), Steps: d.steps}
	if at := slices.IndexFunc(r.Steps, func(s finding.Step) bool { return s.Verdict == finding.Wrong }); at >= 0 {
		r.Problem = &r.Steps[at]
	}
	return r
}

// domain is the name that was asked for, domainOf that of the service.
func domain(f Facts) string {
	if f.Sub != "" {
		return f.Sub + "." + domainOf(f)
	}
	return domainOf(f)
}

func domainOf(f Facts) string {
	return f.Key.Name + "." + f.Key.Namespace + ".svc." + f.Zone
}

// look notes a link.
func (d *diagnosis) look(c *Cluster, link string, v finding.Verdict, found, do string) {
	s := finding.Step{Link: link, Verdict: v, Found: found, Do: do}
	if c != nil {
		s.Cluster = c.ID
	}
	d.steps = append(d.steps, s)
}

// unread notes a link that could not be looked at; true if so.
func (d *diagnosis) unread(c *Cluster, link, resource string) bool {
	why, ok := c.Unread[resource]
	if ok {
		d.look(c, link, finding.Unknown, resource+" can't be read: "+why, "")
	}
	return ok
}

// merging says what the exports amount to.
func (d *diagnosis) merging() {
	if len(d.exports) == 0 {
		return
	}
	d.merged = merge.Merge(d.exports, d.Now)
	found := fmt.Sprintf("%s %s, exported by %s", d.merged.Type(), ports(d.merged.Ports), strings.Join(d.merged.Clusters, ", "))
	if len(d.merged.Conflicts) == 0 {
		d.look(nil, "merge", finding.OK, found, "")
	} else {
		reasons := make([]string, len(d.merged.Conflicts))
		messages := make([]string, len(d.merged.Conflicts))
		for i, c := range d.merged.Conflicts {
			reasons[i], messages[i] = string(c.Reason), c.Message
		}
		d.look(nil, "merge", finding.Warning, found+"; "+strings.Join(reasons, ", ")+": "+strings.Join(messages, "; "),
			"make the Services of all exporting clusters alike")
	}
	total := 0
	for _, addresses := range d.endpoints {
		total += len(addresses)
	}
	if total == 0 && !d.recalled && !d.blind("endpointslices") {
		d.firstUnready()
	}
}

// blind says that some exporting cluster's resource could not be read.
func (d *diagnosis) blind(resource string) bool {
	return slices.ContainsFunc(d.Clusters, func(c Cluster) bool {
		_, unread := c.Unread[resource]
		return unread && c.Export != nil
	})
}

// firstUnready turns the warning that an exporting cluster has no ready endpoint into what is wrong, where no other has any.
func (d *diagnosis) firstUnready() {
	for i := range d.steps {
		if d.steps[i].Link == "endpoints" && d.steps[i].Verdict == finding.Warning {
			d.steps[i].Verdict = finding.Wrong
			return
		}
	}
}

func ports(list []merge.Port) string {
	if len(list) == 0 {
		return "without ports"
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = strings.TrimSpace(p.Name + " " + p.String())
	}
	return strings.Join(names, ", ")
}

// controller says whether somebody does the work. Things that are in place stay so without, so it is wrong only where
// something is missing: needed.
func (d *diagnosis) controller(needed bool) {
	judged, passed := d.Runs, map[string]bool{}
	judged.Now, judged.Imports = d.Now, map[string]int{}
	for i := range d.Clusters {
		c := &d.Clusters[i]
		passed[c.ID] = !c.Consumer
		if c.Import != nil {
			judged.Imports[c.ID] = 1
		}
	}
	for _, s := range judged.Runs() {
		switch {
		case passed[s.Cluster]:
			continue // it is not looked at
		case s.Verdict == finding.Wrong && !needed:
			s.Verdict = finding.Warning
		case s.Verdict != finding.Wrong && d.Controller == nil, s.Link == "controller" && s.Verdict == finding.OK:
			continue // it is not about this name
		}
		s.Link = "controller"
		d.steps = append(d.steps, s)
	}
}

// logs is the command that shows what the controller says.
func (d *diagnosis) logs() string {
	if d.Controller == nil {
		return "look at the controller's log"
	}
	return string(shell.At(d.HomeFlags, "kubectl logs -n %s deployment/mcs-controller", d.Namespace))
}
