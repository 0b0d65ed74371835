package mcsapi

import (
	"slices"
	"testing"
)

// SPEC P2: an annotation that is not there is another thing than one that names nobody.
func TestClustersIn_P2(t *testing.T) {
	for text, want := range map[string][]string{
		"a,b":         {"a", "b"},
		" b , a ,, b": {"b", "a"},
		"":            {},
		" , ":         {},
	} {
		got := ClustersIn(map[string]string{AnnotationConsumers: text}, AnnotationConsumers)
		if got == nil || !slices.Equal(got, want) {
			t.Errorf("%q: %#v, want %#v", text, got, want)
		}
	}
	if got := ClustersIn(nil, AnnotationConsumers); got != nil {
		t.Errorf("no annotation: %#v, want nil", got)
	}
}
