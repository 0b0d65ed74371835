package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// maxRemembered bounds the annotation that holds the remembered exports, in bytes: an object's annotations together may
// have 256 KiB, and the exported ones stand beside it.
const maxRemembered = 160 << 10

// remember returns exports, sorted by precedence, as the JSON that an import keeps (SPEC L9, M1). Where it would be too long, the
// oldest export, which makes the service, stays whole, and of the others the longest lose first, so that no cluster's long
// export pushes another's out: their labels and annotations, which only matter once all older exports are gone, and then all but that
// they are there, and since when: without that, nobody would know after a restart why the service waits for the cluster, and the
// export would count as new. An oldest export that takes more than half of the room loses its labels and annotations, too.
func remember(exports []merge.Export) string {
	parts := make([]string, len(exports))
	size := 1 // brackets and commas
	for i := range exports {
		parts[i] = encode(&exports[i])
		size += len(parts[i]) + 1
	}
	if size <= maxRemembered {
		return "[" + strings.Join(parts, ",") + "]"
	}
	become := func(i int, part string) {
		size += len(part) - len(parts[i])
		parts[i] = part
	}
	bare := func(i int) string {
		short := exports[i]
		short.Labels, short.Annotations = nil, nil
		return encode(&short)
	}
	if len(parts[0]) > maxRemembered/2 {
		become(0, bare(0))
	}
	truncated := func(i int) string {
		short := exports[i].Truncate()
		return encode(&short)
	}
	if len(parts[0]) > maxRemembered*3/4 { // the others' ages have room
		become(0, truncated(0))
	}
	shorten := func(shorter func(int) string) {
		for _, i := range longestFirst(parts[1:]) {
			if size > maxRemembered {
				become(1+i, shorter(1+i))
			}
		}
	}
	shorten(bare)
	shorten(truncated)
	if size > maxRemembered {
		become(0, truncated(0))
	}
	shorten(func(int) string { return "" }) // of a thousand clusters
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return "[" + strings.Join(parts, ",") + "]"
}

// longestFirst returns the indices of parts, of equally long ones the last first.
func longestFirst(parts []string) []int {
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(len(parts[b]), len(parts[a])), cmp.Compare(b, a))
	})
	return order
}

// encode is v as JSON, of a type that can always be written so: exports have no time beyond RFC 3339.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Remembered returns the exports that the import was last made of, by precedence; none if it was never made. The
// annotation is where anyone who may write the import can change it, so what does not look like this controller's work is
// an error, and says nothing about the exports.
func Remembered(i *mcs.ServiceImport) ([]merge.Export, error) {
	text, ok := i.Annotations[mcsapi.AnnotationExports]
	if !ok {
		return nil, nil
	}
	if len(text) > maxRemembered { // no controller wrote it, and what it becomes could take many times as much
		return nil, fmt.Errorf("annotation %s of ServiceImport %s/%s has %d bytes; at most %d are remembered", mcsapi.AnnotationExports, i.Namespace, i.Name, len(text), maxRemembered)
	}
	var exports []merge.Export
	if err := json.Unmarshal([]byte(text), &exports); err != nil {
		return nil, fmt.Errorf("annotation %s of ServiceImport %s/%s: %w", mcsapi.AnnotationExports, i.Namespace, i.Name, err)
	}
	seen := make(map[string]bool, len(exports))
	for n := range exports {
		e := &exports[n]
		err := e.Check()
		if err == nil && seen[e.Cluster] {
			err = fmt.Errorf("cluster %s twice", e.Cluster)
		}
		if err != nil {
			return nil, fmt.Errorf("annotation %s of ServiceImport %s/%s: %w", mcsapi.AnnotationExports, i.Namespace, i.Name, err)
		}
		seen[e.Cluster] = true
	}
	return exports, nil
}
