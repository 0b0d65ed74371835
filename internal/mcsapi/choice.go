package mcsapi

import "strings"

// Annotations by which people choose (SPEC P). Those that name clusters hold ids between commas; spaces don't count.
const (
	// AnnotationConsumers, on a ServiceExport, names the clusters that may import it. Absent: all; empty: none.
	AnnotationConsumers = Domain + "/consumers"

	// AnnotationProviders, on a ServiceImport, names the clusters whose exports are merged into it. Absent: all; empty: none.
	AnnotationProviders = Domain + "/providers"

	// AnnotationPrefer, on a ServiceImport or ServiceExport, names the clusters whose endpoints are used first, in order;
	// [PreferLocal] stands for the importing cluster. Those that are not named come last, together. Empty: no preference.
	AnnotationPrefer = Domain + "/prefer"

	// AnnotationExportSelector, on a Namespace, is a label selector of the Services in it that are exported by rule. It
	// goes before the flag --export-selector; empty: none.
	AnnotationExportSelector = Domain + "/export-selector"
)

// LabelByRule marks ("true") a ServiceExport that the controller made by rule, and therefore also deletes. One without it is
// a person's (SPEC P1, X5).
const LabelByRule = Domain + "/by-rule"

// MadeByRule says whether an export with these labels was made by rule, and is kept so; whose rule it was it does not say.
func MadeByRule(labels map[string]string) bool { return labels[LabelByRule] == "true" }

// PreferLocal, in [AnnotationPrefer], is the importing cluster itself, whatever its id.
const PreferLocal = "local"

// ParseClusters returns the ids that an annotation names, in its order, each once. It is empty, but not nil, if there are
// none.
func ParseClusters(text string) []string {
	ids, seen := []string{}, map[string]bool{}
	for id := range strings.SplitSeq(text, ",") {
		if id = strings.TrimSpace(id); id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// ClustersIn returns what the annotation of that name says of clusters, or nil if it is not there.
func ClustersIn(annotations map[string]string, name string) []string {
	text, ok := annotations[name]
	if !ok {
		return nil
	}
	return ParseClusters(text)
}
