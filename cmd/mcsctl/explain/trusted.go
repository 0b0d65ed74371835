package explain

import (
	"fmt"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// This file is what a cluster's registration does not trust it with (SPEC X2, X3).

// mayExport says whether the controller heeds exports of the name from the cluster, and reports if it does not.
func (d *diagnosis) mayExport(c *Cluster) bool {
	if c.Limits.MayExport(d.Key.Namespace) {
		return true
	}
	d.look(c, "export", finding.Wrong, c.Limits.NotExported(c.ID, d.Key.Namespace), d.trust(c, registration.LimitExportNamespaces))
	return false
}

// trust is how a member is trusted with more.
func (d *diagnosis) trust(c *Cluster, limit string) string {
	return "if it shall: " + d.limitOf(limit)
}

// refusedKeys says which of the export's labels and annotations are not exported; "" if all are. Limits that a controller has
// as flags are known to that controller only, so its word counts first.
func refusedKeys(c *Cluster) string {
	if cond := condition(c.Export.Status.Conditions, plan.ConditionRefused); cond != nil && cond.Status == metav1.ConditionTrue {
		return cond.Message
	}
	if refused := merge.RefusedKeys(c.Export, func(string) bool { return true }); len(refused) > 0 {
		return "not exported: " + strings.Join(refused, ", ")
	}
	return ""
}

// limitOf is where a limit of a member is set.
func (d *diagnosis) limitOf(limit string) string {
	return fmt.Sprintf("annotation %s/%s of its Secret in namespace %s, or the controller's --%s", mcsapi.Domain, limit, d.Namespace, limit)
}

// refused is what the import says was not taken from the exporting clusters, and what to do; "" if all was.
func (d *diagnosis) refused(c *Cluster) (message, do string) {
	if cond := condition(c.Import.Status.Conditions, plan.ConditionRefused); cond != nil && cond.Status == metav1.ConditionTrue {
		if cond.Reason == plan.KeysRefused {
			return cond.Message, "are those labels and annotations meant to be set here? then " + d.limitOf(registration.LimitExportedKeys)
		}
		return cond.Message, fmt.Sprintf("docs/security.md lists what is never imported; correct it in the exporting cluster, or, to allow an address, change %s/%s of that member's Secret in namespace %s",
			mcsapi.Domain, registration.LimitEndpointCIDRs, d.Namespace)
	}
	return "", ""
}
