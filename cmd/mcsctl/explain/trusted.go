package explain

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file is what a cluster's registration does not trust it with (SPEC X2, X3).

// mayExport says whether the controller heeds exports of the name from the cluster, and reports if it does not.
func (d *diagnosis) mayExport(c *Cluster) bool {
	if c.Limits.MayExport(d.Key.Namespace) {
		return true
	}
	d.look(c, "export", Wrong, c.Limits.NotExported(c.ID, d.Key.Namespace), d.trust(c, clusters.LimitExportNamespaces))
	return false
}

// trust is how a member is trusted with more.
func (d *diagnosis) trust(c *Cluster, limit string) string {
	return fmt.Sprintf("if it shall: annotation %s/%s of its Secret in namespace %s, or the controller's --%s", mcsapi.Domain, limit, d.Namespace, limit)
}

// refused is what the import says was not taken from the exporting clusters, and what to do; "" if all was.
func (d *diagnosis) refused(c *Cluster) (message, do string) {
	if cond := condition(c.Import.Status.Conditions, plan.ConditionRefused); cond != nil && cond.Status == metav1.ConditionTrue {
		return cond.Message, fmt.Sprintf("is that address meant to be reached? then see %s/%s of the exporting member's Secret in namespace %s; docs/security.md says what is never imported",
			mcsapi.Domain, clusters.LimitEndpointCIDRs, d.Namespace)
	}
	return "", ""
}
