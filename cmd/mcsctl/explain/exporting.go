package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// exporting looks at every provider. What is wrong with one export matters as long as no other cluster exports the name;
// if one does, it is a warning.
func (d *diagnosis) exporting() {
	from := len(d.steps)
	for i := range d.Clusters {
		if c := &d.Clusters[i]; c.Provider {
			d.export(c)
		}
	}
	d.remembered()
	if len(d.exports) > 0 {
		for i := from; i < len(d.steps); i++ {
			if d.steps[i].Verdict == finding.Wrong {
				d.steps[i].Verdict = finding.Warning
			}
		}
		return
	}
	if !slices.ContainsFunc(d.steps[from:], func(s finding.Step) bool { return s.Verdict == finding.Wrong }) {
		d.nobody()
	}
}

// export looks at one provider: its ServiceExport, Service and endpoints.
func (d *diagnosis) export(c *Cluster) {
	if c.Down != "" {
		d.look(c, "cluster", finding.Unknown, "can't be reached from here: "+c.Down, "")
		return
	}
	switch {
	case c.NotServed["serviceexports"]:
		d.look(c, "export", finding.Wrong, "the API server does not serve ServiceExport: the CRD is missing", install(c))
		return
	case d.unread(c, "export", "serviceexports"):
		return
	case c.Export == nil && c.Service != nil && !derived(c.Service):
		if !d.unreadable(c) {
			d.look(c, "export", finding.None, "not exported from here, though a Service "+d.Key.Name+" is here", "")
		}
		return
	case c.Export == nil:
		d.look(c, "export", finding.None, "not exported from here", "")
		return
	case d.unread(c, "export", "services"):
		return
	}
	if !d.mayExport(c) {
		return
	}
	e, invalid := merge.Of(c.ID, keep.Export(c.Export), keep.Service(c.Service), c.Limits.MayExportKey) // as the controller has them
	if invalid != nil {
		d.look(c, "export", finding.Wrong, fmt.Sprintf("not valid, %s: %s", invalid.Reason, invalid.Message), d.repair(c, invalid))
		return
	}
	d.exports = append(d.exports, e)
	d.verdict(c)
	d.offeredTo(c)
	d.service(c)
}

func derived(s *corev1.Service) bool { return s.Labels[mcsapi.LabelClusterSet] != "" }

// verdict compares what a controller said of a valid export with what should be said.
func (d *diagnosis) verdict(c *Cluster) {
	if refused := refusedKeys(c); refused != "" {
		d.look(c, "export", finding.Warning, "valid, but "+refused,
			"take those keys out of spec.exportedLabels and spec.exportedAnnotations; a domain that is not reserved can be allowed: "+d.limitOf(registration.LimitExportedKeys))
		return
	}
	valid := condition(c.Export.Status.Conditions, string(mcs.ServiceExportConditionValid))
	ready := condition(c.Export.Status.Conditions, string(mcs.ServiceExportConditionReady))
	switch {
	case valid == nil && d.Controller != nil && d.Controller.Self != "" && d.Controller.Self != c.ID:
		// One writer: the controller here only reads that cluster (DESIGN 3).
		d.look(c, "export", finding.OK, "valid, exported "+finding.Ago(d.Now.Sub(c.Export.CreationTimestamp.Time))+" ago; a controller there would say so in its status", "")
	case valid == nil:
		d.look(c, "export", finding.Warning, "valid, but no controller has said so in its status",
			string("if that goes on: is the cluster a member, and is the controller allowed to write the status? "+shell.At(d.Look, "mcsctl check")))
	case ready != nil && ready.Status != metav1.ConditionTrue:
		d.look(c, "export", finding.Warning, "valid, but not ready: "+ready.Message, "")
	default:
		d.look(c, "export", finding.OK, "valid, exported "+finding.Ago(d.Now.Sub(c.Export.CreationTimestamp.Time))+" ago", "")
	}
}

// service looks at what backs the export: the ready endpoints.
func (d *diagnosis) service(c *Cluster) {
	if d.unread(c, "endpoints", "endpointslices") {
		return
	}
	addresses, total := endpoints(c.Slices)
	d.endpoints[c.ID] = addresses
	found := fmt.Sprintf("%d of %d ready behind Service %s", len(addresses), total, d.Key.Name)
	switch {
	case len(addresses) > 0:
		d.look(c, "endpoints", finding.OK, found, "")
	case total > 0:
		d.look(c, "endpoints", finding.Warning, found, "find out why the pods are not ready: "+d.pods(c))
	case len(c.Service.Spec.Selector) == 0:
		d.look(c, "endpoints", finding.Warning, fmt.Sprintf("Service %s has no selector, and nobody made EndpointSlices for it", d.Key.Name), "make them, or give the Service a selector")
	default:
		d.look(c, "endpoints", finding.Warning, fmt.Sprintf("no pod backs Service %s", d.Key.Name),
			"is something running with the labels it selects? "+d.pods(c))
	}
}

// install is the command that installs the CRDs.
func install(c *Cluster) string {
	return string("install it: " + shell.At(c.Flags, "kubectl apply --server-side -k deploy/crds"))
}

// pods is the command that shows the pods that the Service selects.
func (d *diagnosis) pods(c *Cluster) string {
	selected := shell.Text("")
	if len(c.Service.Spec.Selector) > 0 {
		selected = shell.Command(" -l %s", metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: c.Service.Spec.Selector}))
	}
	return string(shell.At(c.Flags, "kubectl get pods -n %s%s", d.Key.Namespace, selected))
}

// repair is what to do about an export that is not valid.
func (d *diagnosis) repair(c *Cluster, invalid *merge.Invalid) string {
	unexport := shell.At(c.Flags, "mcsctl unexport %s", d.Key)
	switch {
	case invalid.Reason == mcs.ServiceExportReasonNoService:
		return fmt.Sprintf("create Service %s in namespace %s, or delete the export: %s", d.Key.Name, d.Key.Namespace, unexport)
	case invalid.Reason == mcs.ServiceExportReasonInvalidServiceType && c.Service != nil && derived(c.Service):
		return string("export it where its pods are; here: " + unexport)
	case invalid.Reason == mcs.ServiceExportReasonInvalidServiceType:
		return "export a Service with endpoints of its own"
	case invalid.Reason == merge.InvalidName:
		return "give the Service and its export a name of lower-case letters, digits and '-'"
	case invalid.Reason == merge.TooLarge:
		return "make it smaller"
	}
	return "mend the Service's ports"
}

// nobody says that there is no export at all, and where one could be made.
func (d *diagnosis) nobody() {
	silent := d.silent()
	for i := range d.Clusters {
		c := &d.Clusters[i]
		if c.Provider && c.Export == nil && c.Service != nil && !derived(c.Service) && len(silent) == 0 {
			d.look(nil, "export", finding.Wrong, fmt.Sprintf("no cluster exports %s; %s has a Service of that name", d.Key, c.ID),
				string(shell.At(c.Flags, "mcsctl export %s", d.Key)))
			return
		}
	}
	found, do := fmt.Sprintf("no cluster exports %s", d.Key), string("is the name right (service.namespace)? all names: "+shell.At(d.Look, "mcsctl services")+"; mcsctl export makes one available")
	if len(silent) > 0 {
		names := strings.Join(silent, ", ")
		found, do = found+"; not known of "+names, "see to it that "+names+" can be reached and read; "+do
	}
	d.look(nil, "export", finding.Wrong, found, do)
}

// silent are the providers of which it is not known what they export.
func (d *diagnosis) silent() (ids []string) {
	for i := range d.Clusters {
		if c := &d.Clusters[i]; c.Provider && (c.Down != "" || c.Unread["serviceexports"] != "") {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// remembered counts the exports of silent clusters as they were last known, by what an import keeps of them: so does the
// controller (SPEC L9). Those of clusters that are not looked at count as well: a member of a hub, say, has nobody's credentials.
func (d *diagnosis) remembered() {
	silent, elsewhere := d.silent(), map[string]bool{}
	for i := range d.Clusters {
		if d.Clusters[i].Import == nil {
			continue
		}
		kept, err := plan.Remembered(d.Clusters[i].Import)
		if err != nil {
			continue // garbled: as good as nothing remembered
		}
		for n := range d.exports { // their ages, too
			d.exports[n] = d.exports[n].Recall(kept, time.Time{}, false)
		}
		for n := range kept {
			id := kept[n].Cluster
			at := slices.Index(silent, id)
			looked := slices.ContainsFunc(d.Clusters, func(c Cluster) bool { return c.ID == id })
			switch {
			case at >= 0 && kept[n].Truncated:
				d.look(nil, "export", finding.Warning, fmt.Sprintf(
					"exported by %s when it was last seen, by an export too long to be remembered: the service stays as it was", id),
					"make sure that "+id+" can be reached and read, or remove it: "+string(shell.At(d.Registering, "mcsctl leave %s", id)))
				continue
			case kept[n].Truncated:
				continue
			case at >= 0:
				silent = slices.Delete(silent, at, at+1)
				d.look(nil, "export", finding.Warning, "exported by "+id+" when it was last seen; not known now", "")
			case !looked && !elsewhere[id]:
				elsewhere[id] = true
				d.look(nil, "export", finding.Unknown, fmt.Sprintf("exported by %s, says the import in %s; %s itself is not looked at", id, d.Clusters[i].ID, id),
					"to look at it, too: --contexts or --cluster")
			default:
				continue
			}
			d.exports, d.recalled = append(d.exports, kept[n]), true
		}
	}
}

// endpoints are the addresses of those that are ready (nil means true), sorted, and how many there are in all. An endpoint
// is counted once, in however many slices it is; slices that were imported are not the cluster's own.
func endpoints(list []discoveryv1.EndpointSlice) (ready []string, total int) {
	seen := map[string]bool{}
	for i := range list {
		if list[i].Labels[mcsapi.LabelSourceCluster] != "" || list[i].AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		count(&list[i], seen)
	}
	return split(seen)
}

// count notes every endpoint of a slice by its address, and whether it is ready.
func count(s *discoveryv1.EndpointSlice, seen map[string]bool) {
	for _, e := range s.Endpoints {
		if len(e.Addresses) > 0 {
			seen[e.Addresses[0]] = seen[e.Addresses[0]] || e.Conditions.Ready == nil || *e.Conditions.Ready
		}
	}
}

func split(seen map[string]bool) (ready []string, total int) {
	for address, is := range seen {
		if is {
			ready = append(ready, address)
		}
	}
	slices.Sort(ready)
	return ready, len(seen)
}

func condition(list []metav1.Condition, typ string) *metav1.Condition {
	for i := range list {
		if list[i].Type == typ {
			return &list[i]
		}
	}
	return nil
}
