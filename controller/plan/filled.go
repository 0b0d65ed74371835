package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// filled is what the controller wrote into an object that others write, too. What is listed here and still as written
// follows the exports; anything else is a person's or another controller's, and stays.
type filled struct {
	// Spec are fields of a person's import that were left unset, with the value given; of ports, their fingerprint.
	Spec map[string]string `json:"spec,omitempty"`
	// Labels and Annotations are the exported keys that the object carries (SPEC E4).
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
	// Claimed says that the controller, not a person, named the clusterset that serves the import.
	Claimed bool `json:"claimed,omitempty"`
}

// filledOf reads back what was filled in; an annotation that somebody garbled counts as none, so that nothing of theirs
// is taken for ours.
func filledOf(o metav1.Object) filled {
	var f filled
	if text := o.GetAnnotations()[mcsapi.AnnotationFilled]; text == "" || json.Unmarshal([]byte(text), &f) != nil {
		return filled{}
	}
	return f
}

// String is the annotation's text, or "" if nothing was filled in.
func (f filled) String() string {
	if len(f.Spec)+len(f.Labels)+len(f.Annotations) == 0 && !f.Claimed {
		return ""
	}
	return encode(f)
}

// fingerprint tells one list of ports from another, short enough for an annotation.
func fingerprint(ports []mcs.ServicePort) string {
	parts := make([]string, len(ports))
	for i := range ports {
		p := portOf(&ports[i])
		parts[i] = fmt.Sprintf("%s %s %s", p.Name, p.String(), p.AppProtocol)
	}
	return digest(parts...)[:16]
}

// export merges exported keys into held, a map of labels or annotations: those exported before and no more, by before, go.
// With yield, a key that held has on its own account keeps its value. It returns the new map and the keys in it that are
// exported.
func export(held, exported map[string]string, before []string, yield bool) (map[string]string, []string) {
	out := maps.Clone(held)
	if out == nil {
		out = make(map[string]string, len(exported)+4)
	}
	for _, k := range before {
		if _, still := exported[k]; !still {
			delete(out, k)
		}
	}
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(exported)) {
		if _, has := held[k]; has && yield && !slices.Contains(before, k) {
			continue
		}
		out[k] = exported[k]
		keys = append(keys, k)
	}
	return out, keys
}
