package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"

	discoveryv1 "k8s.io/api/discovery/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// This file is the name of one pod, <hostname>.<cluster id>.<service>.<namespace>.svc.<zone>, which only a headless service has, and
// only for ready endpoints (SPEC D3, D4, D5).

// namedEndpoint is an endpoint under the label that DNS gives it.
type namedEndpoint struct {
	label     string
	given     bool // by the pod, not made from the address
	addresses []string
	ready     bool
}

// labels are the names of the endpoints of slices. One that has several addresses, and several under one hostname, are one.
func labels(list []discoveryv1.EndpointSlice, from string) (found []namedEndpoint) {
	at := map[string]int{}
	for i := range list {
		if from != "" && list[i].Labels[mcsapi.LabelSourceCluster] != from {
			continue
		}
		for _, e := range list[i].Endpoints {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			for _, address := range e.Addresses {
				n := namedEndpoint{label: label(address), addresses: []string{address}, ready: ready}
				if e.Hostname != nil && *e.Hostname != "" {
					n.label, n.given = strings.ToLower(*e.Hostname), true
				}
				seen, again := at[n.label]
				switch {
				case !again:
					at[n.label] = len(found)
					found = append(found, n)
				case ready && !found[seen].ready:
					found[seen] = n
				case ready == found[seen].ready:
					found[seen].addresses = append(found[seen].addresses, address)
				}
			}
		}
	}
	for i := range found {
		found[i].addresses = slices.Compact(slices.Sorted(slices.Values(found[i].addresses)))
	}
	return found
}

// label is what DNS makes of an address: its canonical text with dashes, and a zero where it would begin or end with one.
func label(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	text := strings.NewReplacer(".", "-", ":", "-").Replace(ip.String())
	if strings.HasPrefix(text, "-") {
		text = "0" + text
	}
	if strings.HasSuffix(text, "-") {
		text += "0"
	}
	return text
}

// pod says whether the name that was asked for exists below that of the service, and which addresses it has.
func (d *diagnosis) pod(c *Cluster) (addresses []string) {
	if d.Sub == "" {
		return nil
	}
	wrong := func(found, do string) { d.look(c, "pod", finding.Wrong, found, do) }
	form := "the form is HOSTNAME.CLUSTER-ID." + domainOf(d.Facts)
	if c.Import.Spec.Type != mcs.Headless {
		wrong(fmt.Sprintf("%s is not headless (%s), so no name exists below its own", d.Key, c.Import.Spec.Type),
			"ask for "+domainOf(d.Facts)+"; pods have names where the exported Service has clusterIP: None")
		return nil
	}
	if d.unread(c, "pod", "endpointslices") {
		return nil
	}
	var from []string
	for i := range c.Imported {
		if id := c.Imported[i].Labels[mcsapi.LabelSourceCluster]; !slices.Contains(from, id) && id != "" {
			from = append(from, id)
		}
	}
	slices.Sort(from)
	host, cluster, _ := strings.Cut(d.Sub, ".")
	switch {
	case slices.Contains(from, d.Sub):
		wrong(fmt.Sprintf("%s is a cluster, whose pods have no common name", d.Sub), form)
		return nil
	case cluster == "":
		wrong(fmt.Sprintf("%s is not the id of a cluster with endpoints here; those are %s", d.Sub, orNone(from)), form)
		return nil
	case !slices.Contains(from, cluster):
		if found, do := d.elsewhere(c, host, cluster); found != "" {
			wrong(found, do)
			return nil
		}
		wrong(fmt.Sprintf("no endpoints here are from a cluster with the id %s; there are endpoints from %s", cluster, orNone(from)),
			form+"; the ids: "+string(shell.At(d.Look, "mcsctl status")))
		return nil
	}
	there := labels(c.Imported, cluster)
	at := slices.IndexFunc(there, func(n namedEndpoint) bool { return n.label == host })
	switch {
	case at < 0:
		wrong(d.noHost(c, there, host, cluster))
	case !there[at].ready:
		wrong(fmt.Sprintf("%s of %s has %s, but is not ready, so its name does not exist", host, cluster, few(there[at].addresses)), d.podsOf(cluster))
	default:
		addresses = slices.Sorted(slices.Values(there[at].addresses))
		d.look(c, "pod", finding.OK, fmt.Sprintf("%s of %s has %s", host, cluster, few(addresses)), "")
	}
	return addresses
}

// elsewhere says what the exporting cluster has of an endpoint that is not here; "" if it has none of that hostname.
func (d *diagnosis) elsewhere(c *Cluster, host, cluster string) (found, do string) {
	for i := range d.Clusters {
		if d.Clusters[i].ID != cluster {
			continue
		}
		for _, n := range labels(d.Clusters[i].Slices, "") {
			switch {
			case n.label == host && n.ready:
				return fmt.Sprintf("%s has %s, ready, but it is not imported; see condition %s of the ServiceImport", cluster, host, plan.ConditionRefused),
					string(shell.At(c.Flags, "kubectl get serviceimport -n %s %s -o yaml", d.Key.Namespace, d.Key.Name))
			case n.label == host:
				return fmt.Sprintf("%s of %s has %s, but is not ready, so its name does not exist", host, cluster, few(n.addresses)), d.podsOf(cluster)
			}
		}
	}
	return "", ""
}

// noHost says that no imported endpoint has a hostname, by what the exporting cluster says of it, and what others are called.
func (d *diagnosis) noHost(c *Cluster, there []namedEndpoint, host, cluster string) (found, do string) {
	if found, do := d.elsewhere(c, host, cluster); found != "" {
		return found, do
	}
	var names []string
	given := false
	for _, n := range there {
		if n.ready {
			names = append(names, n.label)
			given = given || n.given
		}
	}
	slices.Sort(names)
	found = fmt.Sprintf("no endpoint of %s has the hostname %s; there are %s", cluster, host, few(names))
	if !given {
		found = fmt.Sprintf("no endpoint of %s has a hostname; their names are made from their addresses: %s", cluster, few(names))
	}
	return found, fmt.Sprintf("pods have hostnames in a StatefulSet with serviceName %s, or with spec.hostname and spec.subdomain %s; %s", d.Key.Name, d.Key.Name, d.podsOf(cluster))
}

// podsOf is the command that shows the pods behind the Service of a cluster.
func (d *diagnosis) podsOf(cluster string) string {
	for i := range d.Clusters {
		if c := &d.Clusters[i]; c.ID == cluster && c.Service != nil {
			return "look at the pods: " + d.pods(c)
		}
	}
	return "look at the pods of " + cluster
}
