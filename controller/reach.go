package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// reach says on an export which clusters it does not get to, or which alone it does; "" if it gets to all (SPEC X3, P2).
func (c *Controller) reach(namespace string, consumers []string) string {
	var closed []string
	members := map[string]bool{}
	for _, m := range c.set.Members() {
		members[m.ID()] = true
		if r := m.Registration(); r.Consumer && !r.Limits.MayImport(namespace) {
			closed = append(closed, m.ID())
		}
	}
	said := "exported to the clusterset"
	if consumers != nil {
		said = restricted(consumers, members)
	}
	if len(closed) > 0 {
		said += fmt.Sprintf("; namespace %s is not imported into %s, whose %s would have to allow that",
			namespace, strings.Join(closed, ", "), registration.LimitImportNamespaces)
	} else if consumers == nil {
		return ""
	}
	return said
}

// restricted says to whom alone an export goes, and which of them are unknown: no error, but maybe a slip.
func restricted(consumers []string, members map[string]bool) string {
	if len(consumers) == 0 {
		return fmt.Sprintf("exported to no cluster: annotation %s names none", mcsapi.AnnotationConsumers)
	}
	said := fmt.Sprintf("exported to %s only, by annotation %s", strings.Join(consumers, ", "), mcsapi.AnnotationConsumers)
	unknown := slices.DeleteFunc(slices.Clone(consumers), func(id string) bool { return members[id] })
	if len(unknown) > 0 {
		said += "; not in the clusterset: " + strings.Join(unknown, ", ")
	}
	return said
}
