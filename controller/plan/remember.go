package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// maxRemembered bounds the annotation that holds the remembered exports, in bytes: an object's annotations together may
// have 256 KiB, and the exported ones stand beside it.
const maxRemembered = 160 << 10

// remember returns exports, sorted by precedence, as the JSON that an import keeps (SPEC L9). Where it would be too long,
// the exports of least precedence lose their labels and annotations first, which only matter once all older exports are
// gone, and are left out next.
func remember(exports []merge.Export) string {
	parts := make([]string, len(exports))
	size := 1 // brackets and commas
	for i := range exports {
		parts[i] = encode(&exports[i])
		size += len(parts[i]) + 1
	}
	for i := len(parts) - 1; i > 0 && size > maxRemembered; i-- {
		short := exports[i]
		short.Labels, short.Annotations = nil, nil
		size -= len(parts[i])
		parts[i] = encode(&short)
		size += len(parts[i])
	}
	for size > maxRemembered {
		last := len(parts) - 1
		size -= len(parts[last]) + 1
		parts = parts[:last]
	}
	return "[" + strings.Join(parts, ",") + "]"
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
