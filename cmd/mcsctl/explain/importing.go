package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// importing looks at every consumer. That a cluster does not import the name is wrong only if none does: nobody says that
// every cluster has to.
func (d *diagnosis) importing() {
	from := len(d.steps)
	some := slices.ContainsFunc(d.Clusters, func(c Cluster) bool { return c.Consumer && c.Import != nil })
	for i := range d.Clusters {
		if c := &d.Clusters[i]; c.Consumer && (d.arrived(c, some)) {
			d.resolved(c)
		}
	}
	steps := slices.Clone(d.steps[from:])
	d.steps = d.steps[:from]
	d.controller(slices.ContainsFunc(steps, func(s finding.Step) bool { return s.Verdict == finding.Wrong && byController[s.Link] }))
	d.steps = append(d.steps, steps...)
}

// byController are the links that the controller makes.
var byController = map[string]bool{"import": true, "service": true, "slices": true}

// arrived looks at what the controller keeps in a consumer; false if there is nothing to resolve. If some other cluster
// imports the name, this one need not.
func (d *diagnosis) arrived(c *Cluster, some bool) bool {
	if c.Down != "" {
		if !c.Provider { // else it was said
			d.look(c, "cluster", finding.Unknown, "can't be reached from here: "+c.Down, "")
		}
		return false
	}
	if c.NotServed["serviceimports"] {
		d.look(c, "import", finding.Wrong, "the API server does not serve ServiceImport: the CRD is missing", install(c))
		return false
	}
	if d.unread(c, "import", "serviceimports") {
		return false
	}
	if !d.namespace(c, some) || !d.imported(c, some) {
		return false
	}
	if !d.derived(c) {
		return false
	}
	d.slices(c)
	return true
}

func (d *diagnosis) namespace(c *Cluster, some bool) bool {
	if _, unread := c.Unread["namespaces"]; unread || c.Import != nil {
		return true // if there is an import, there is a namespace
	}
	missing := finding.Wrong
	if some {
		missing = finding.None
	}
	switch {
	case c.Namespace == nil:
		d.look(c, "namespace", missing, fmt.Sprintf("there is no namespace %s; services are imported only where it exists", d.Key.Namespace),
			string(shell.At(c.Flags, "kubectl create namespace %s", d.Key.Namespace)))
		return false
	case c.Namespace.DeletionTimestamp != nil:
		d.look(c, "namespace", missing, fmt.Sprintf("namespace %s is being deleted", d.Key.Namespace), "wait until it is gone, and create it anew")
		return false
	}
	return true
}

// imported looks at the ServiceImport and its conditions.
func (d *diagnosis) imported(c *Cluster, some bool) bool {
	i := c.Import
	if i == nil {
		d.notImported(c, some)
		return false
	}
	if set := plan.OtherSet(i, d.set()); d.Controller != nil && set != "" {
		d.look(c, "import", finding.Wrong, fmt.Sprintf("clusterset %s serves this ServiceImport, not %s", set, d.set()),
			"delete it, or look with a controller of that clusterset")
		return false
	}
	ready := condition(i.Status.Conditions, string(mcs.ServiceImportConditionReady))
	served := i.Spec.Type == mcs.Headless || len(i.Spec.IPs) > 0
	switch {
	case i.DeletionTimestamp != nil:
		d.look(c, "import", finding.Wrong, "the ServiceImport is being deleted, but finalizers hold it: "+strings.Join(i.Finalizers, ", "), "find out who set them")
		return false
	case ready == nil && !served:
		d.look(c, "import", finding.Wrong, "no controller has looked at the ServiceImport: it has no status and no address",
			string("does a controller run for this cluster, and is the cluster a member? "+shell.At(d.Look, "mcsctl status")))
		return false
	case ready != nil && ready.Status != metav1.ConditionTrue:
		d.look(c, "import", finding.Wrong, fmt.Sprintf("not ready, %s: %s", ready.Reason, ready.Message), d.unblock(c, ready))
		return false
	}
	d.look(c, "import", finding.OK, fmt.Sprintf("%s %s", i.Spec.Type, strings.Join(i.Spec.IPs, " ")), "")
	d.notices(c)
	d.chosen(c)
	return true
}

func (d *diagnosis) set() string {
	if d.Controller == nil {
		return "default"
	}
	return d.Controller.ClusterSet
}

// notImported says what a missing import means.
func (d *diagnosis) notImported(c *Cluster, some bool) {
	create := string(shell.At(c.Flags, "mcsctl import %s", d.Key))
	switch {
	case some:
		d.look(c, "import", finding.None, "not imported here", "")
	case len(d.exports) == 0:
		d.look(c, "import", finding.None, "there is no ServiceImport, and nothing to import", "")
	case !c.Limits.MayImport(d.Key.Namespace):
		d.look(c, "import", finding.Wrong, fmt.Sprintf("services of namespace %s are not imported into %s", d.Key.Namespace, c.ID), d.trust(c, registration.LimitImportNamespaces))
	case d.closed(c):
		d.look(c, "import", finding.None, "not imported here: it is exported to other clusters only", "")
	case d.Controller != nil && !d.Controller.Automatic:
		d.look(c, "import", finding.Wrong, "there is no ServiceImport, and the controller makes none by itself (--automatic-imports=false)", create)
	case d.Controller != nil:
		d.look(c, "import", finding.Wrong, "there is no ServiceImport, although the controller is to make them by itself",
			string("is every exporting cluster a member, and the controller well? "+shell.At(d.Look, "mcsctl status"))+"; "+d.logs())
	default:
		d.look(c, "import", finding.Wrong, "there is no ServiceImport, and no controller has made one", string("is a controller running? "+shell.At(d.Look, "mcsctl status"))+"; with imports on demand: "+create)
	}
}

// unblock is what to do about an import that is not ready.
func (d *diagnosis) unblock(c *Cluster, ready *metav1.Condition) string {
	mismatch := condition(c.Import.Status.Conditions, plan.ConditionMismatch)
	switch {
	case mismatch != nil:
		return fmt.Sprintf("mend the ServiceImport: %s; or delete it and let %s make it", mismatch.Message, shell.At(c.Flags, "mcsctl import %s", d.Key))
	case ready.Reason == string(mcs.ServiceImportReasonIPFamilyNotSupported):
		return "export a Service with an IP family that this cluster has"
	case c.Derived != nil && c.Derived.Labels[mcsapi.LabelClusterSet] == "":
		return d.inTheWay(c)
	case len(d.exports) == 0:
		return string("export it in a cluster that has the Service: " + shell.At(" --context CONTEXT", "mcsctl export %s", d.Key))
	case !slices.ContainsFunc(d.exports, func(e merge.Export) bool { return d.sees(c, e.Cluster) }):
		return fmt.Sprintf("name %s in annotation %s of an export, and its cluster in annotation %s of this import, if that has one",
			c.ID, mcsapi.AnnotationConsumers, mcsapi.AnnotationProviders)
	}
	return "if it stays so: " + d.logs()
}

// notices are the conditions that stand on an import that works all the same.
func (d *diagnosis) notices(c *Cluster) {
	for _, n := range []struct{ typ, do string }{
		{plan.ConditionMismatch, string("mend the ServiceImport: " + shell.At(c.Flags, "kubectl edit serviceimport -n %s %s", d.Key.Namespace, d.Key.Name))},
		{plan.ConditionNoLocalEndpoints, "export the Service with internalTrafficPolicy Cluster"},
		{plan.ConditionUnreachable, string("which members can't be reached: " + shell.At(d.Look, "mcsctl status"))},
	} {
		if cond := condition(c.Import.Status.Conditions, n.typ); cond != nil && cond.Status == metav1.ConditionTrue {
			d.look(c, "import", finding.Warning, cond.Message, n.do)
		}
	}
	if message, do := d.refused(c); message != "" {
		d.look(c, "import", finding.Warning, message, do)
	}
}

// derived looks at the Service that carries the import's address.
func (d *diagnosis) derived(c *Cluster) bool {
	if d.unread(c, "service", "services") {
		return true
	}
	name := derivedName(c.Import)
	do := "the controller puts it back within seconds; if not: " + d.logs()
	s := c.Derived
	switch {
	case s == nil:
		d.look(c, "service", finding.Wrong, "the derived Service "+name+" is missing", do)
		return false
	case s.Labels[mcsapi.LabelClusterSet] == "":
		d.look(c, "service", finding.Wrong, "Service "+name+" is in the way: the controller did not create it, and leaves it alone",
			d.inTheWay(c))
		return false
	case c.Import.Spec.Type == mcs.ClusterSetIP && !slices.Equal(addressesOf(s), c.Import.Spec.IPs):
		d.look(c, "service", finding.Wrong, fmt.Sprintf("Service %s has %s, the import says %s", name, strings.Join(addressesOf(s), " "), strings.Join(c.Import.Spec.IPs, " ")), do)
		return false
	}
	d.look(c, "service", finding.OK, fmt.Sprintf("%s %s", name, servicePorts(s)), "")
	return true
}

// inTheWay is how to get a Service of somebody else out of the way.
func (d *diagnosis) inTheWay(c *Cluster) string {
	return string(shell.At(c.Flags, "kubectl delete service -n %s %s", d.Key.Namespace, derivedName(c.Import)) + ", or rename it")
}

func derivedName(i *mcs.ServiceImport) string {
	if name := i.Annotations[mcsapi.AnnotationDerivedService]; mcsapi.IsLabel(name) {
		return name
	}
	return plan.DerivedName(i.Name)
}

func addressesOf(s *corev1.Service) []string {
	return slices.DeleteFunc(slices.Clone(s.Spec.ClusterIPs), func(ip string) bool { return ip == corev1.ClusterIPNone })
}

func servicePorts(s *corev1.Service) string {
	names := make([]string, len(s.Spec.Ports))
	for i, p := range s.Spec.Ports {
		names[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
	}
	return strings.Join(names, ", ")
}

// slices compares the imported endpoints with those of the exporting clusters.
func (d *diagnosis) slices(c *Cluster) {
	if d.unread(c, "slices", "endpointslices") {
		return
	}
	do := "the controller follows within a second; if not: " + d.logs()
	if refused, trust := d.refused(c); refused != "" {
		do = trust
	}
	here := map[string]map[string]bool{} // by exporting cluster
	for i := range c.Imported {
		from := c.Imported[i].Labels[mcsapi.LabelSourceCluster]
		if here[from] == nil {
			here[from] = map[string]bool{}
		}
		count(&c.Imported[i], here[from])
	}
	var counts []string
	total := 0
	for _, from := range sortedKeys(here, d.endpoints) {
		ready, _ := split(here[from])
		total += len(ready)
		counts = append(counts, fmt.Sprintf("%d from %s", len(ready), from))
		there, known := d.endpoints[from]
		if !known || !d.sees(c, from) {
			continue
		}
		missing := difference(there, ready)
		left := difference(ready, there)
		switch {
		case len(missing) > 0 && len(ready) == 0:
			d.look(c, "slices", finding.Wrong, fmt.Sprintf("none of the %d ready endpoints of %s is here", len(there), from), do)
			return
		case len(missing) > 0:
			d.look(c, "slices", finding.Warning, fmt.Sprintf("%d of the %d ready endpoints of %s are not here: %s", len(missing), len(there), from, few(missing)), do)
		case len(left) > 0:
			d.look(c, "slices", finding.Warning, fmt.Sprintf("endpoints of %s that are not ready there any more: %s", from, few(left)), do)
		}
	}
	if total == 0 {
		d.look(c, "slices", finding.Wrong, "no ready endpoint", "")
		return
	}
	d.look(c, "slices", finding.OK, strings.Join(counts, ", "), "")
}
