package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// unreadable says that the namespace's rule, by which the Service might be exported, can't be read.
func (d *diagnosis) unreadable(c *Cluster) bool {
	if c.Namespace == nil {
		return false
	}
	_, err := rules.Rules{}.For(c.Namespace)
	if err != nil {
		d.look(c, "export", finding.Wrong, "not exported from here, and no rule can say whether it should be: "+err.Error(),
			string("mend the rule: "+shell.At(c.Flags, "kubectl annotate namespace %s --overwrite %s=SELECTOR", d.Key.Namespace, mcsapi.AnnotationExportSelector)))
	}
	return err != nil
}

// offeredTo says of a provider whom its export is for, and that a rule made it (SPEC P1, P2).
func (d *diagnosis) offeredTo(c *Cluster) {
	if mcsapi.MadeByRule(c.Export.Labels) {
		d.look(c, "choice", finding.OK, "exported by rule: the controller made the ServiceExport, and deletes it when the rule does not hold any more", "")
	}
	consumers := merge.Consumers(c.Export)
	switch {
	case consumers == nil:
	case len(consumers) == 0:
		d.look(c, "choice", finding.Warning, "for no cluster: annotation "+mcsapi.AnnotationConsumers+" names none", "name clusters, or take it off")
	default:
		d.named(c, mcsapi.AnnotationConsumers, consumers, "only for "+strings.Join(consumers, ", "))
	}
	if prefer := mcsapi.ClustersIn(c.Export.Annotations, mcsapi.AnnotationPrefer); prefer != nil {
		d.named(c, mcsapi.AnnotationPrefer, prefer, "asks consumers to prefer "+orNone(prefer))
	}
}

// named says what an annotation chooses, and which of the clusters in it nobody knows, which is no error, but maybe a slip.
func (d *diagnosis) named(c *Cluster, annotation string, ids []string, found string) {
	found += ", by annotation " + annotation
	unknown := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return id == mcsapi.PreferLocal && annotation == mcsapi.AnnotationPrefer ||
			slices.ContainsFunc(d.Clusters, func(c Cluster) bool { return c.ID == id })
	})
	if len(unknown) > 0 {
		d.look(c, "choice", finding.Warning, found+"; not known: "+strings.Join(unknown, ", "), string("are the ids right? the members: "+shell.At(d.Look, "mcsctl status")))
		return
	}
	d.look(c, "choice", finding.OK, found, "")
}

// sees says whether a consumer gets the export of a cluster (SPEC P2).
func (d *diagnosis) sees(c *Cluster, from string) bool {
	at := slices.IndexFunc(d.exports, func(e merge.Export) bool { return e.Cluster == from })
	if at >= 0 && !d.exports[at].MayImport(c.ID) {
		return false
	}
	if c.Import == nil {
		return true
	}
	providers := mcsapi.ClustersIn(c.Import.Annotations, mcsapi.AnnotationProviders)
	return providers == nil || slices.Contains(providers, from)
}

// closed says that there are exports, of which a consumer gets none.
func (d *diagnosis) closed(c *Cluster) bool {
	return len(d.exports) > 0 && !slices.ContainsFunc(d.exports, func(e merge.Export) bool { return e.MayImport(c.ID) })
}

// chosen says what a consumer's import chooses, and what that comes to (SPEC P2, P3).
func (d *diagnosis) chosen(c *Cluster) {
	if providers := mcsapi.ClustersIn(c.Import.Annotations, mcsapi.AnnotationProviders); providers != nil {
		d.named(c, mcsapi.AnnotationProviders, providers, "imports only from "+orNone(providers))
	}
	prefer := mcsapi.ClustersIn(c.Import.Annotations, mcsapi.AnnotationPrefer)
	if prefer != nil {
		d.named(c, mcsapi.AnnotationPrefer, prefer, "prefers "+orNone(prefer))
	}
	used, idle := map[string]bool{}, map[string]bool{}
	ranked := false
	for i := range c.Imported {
		s := &c.Imported[i]
		from := s.Labels[mcsapi.LabelSourceCluster]
		ranked = ranked || s.Annotations[mcsapi.AnnotationRank] != ""
		if s.Labels[discoveryv1.LabelServiceName] != "" {
			used[from] = true
		} else {
			idle[from] = true
		}
	}
	if !ranked {
		return
	}
	found := fmt.Sprintf("in use by preference: %s", orNone(slices.Sorted(maps.Keys(used))))
	if len(idle) > 0 {
		found += "; in reserve: " + strings.Join(slices.Sorted(maps.Keys(idle)), ", ")
	}
	d.look(c, "choice", finding.OK, found, "")
}

func orNone(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}
