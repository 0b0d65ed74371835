package plan

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mergePatch is a JSON merge patch (RFC 7386) of one section of o and its metadata, which fails with a conflict if o was
// changed since it was read.
func mergePatch(o metav1.Object, metadata map[string]any, section string, content map[string]any) []byte {
	meta := map[string]any{"resourceVersion": o.GetResourceVersion()}
	for k, v := range metadata {
		meta[k] = v
	}
	patch := map[string]any{"metadata": meta}
	if len(content) > 0 {
		patch[section] = content
	}
	return []byte(encode(patch))
}

// difference is what a merge patch needs to turn one map into another.
func difference(from, to map[string]string) map[string]any {
	out := make(map[string]any)
	for k, v := range to {
		if held, ok := from[k]; !ok || held != v {
			out[k] = v
		}
	}
	for k := range from {
		if _, ok := to[k]; !ok {
			out[k] = nil
		}
	}
	return out
}

// orNull is list, or the null that removes a field where there is nothing to list.
func orNull[T any](list []T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}
