package merge

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

func annotated(name, value string) (Export, *Invalid) {
	return offered(func(e *mcs.ServiceExport, _ *corev1.Service) { e.Annotations = map[string]string{name: value} })
}

// SPEC P2, L9: whom an export names is part of it, and survives being kept: all, some and none are three things.
func TestConsumersAreKept_P2_L9(t *testing.T) {
	for text, want := range map[string]map[string]bool{
		"west, east": {"east": true, "west": true, "north": false},
		"":           {"east": false},
	} {
		e, invalid := annotated(mcsapi.AnnotationConsumers, text)
		if invalid != nil {
			t.Fatal(invalid)
		}
		var kept Export
		stored, err := json.Marshal(e)
		if err == nil {
			err = json.Unmarshal(stored, &kept)
		}
		if err != nil || kept.Check() != nil || !reflect.DeepEqual(e, kept) {
			t.Errorf("%q: %+v was kept as %s, %+v (%v, %v)", text, e, stored, kept, err, kept.Check())
		}
		for cluster, may := range want {
			if kept.MayImport(cluster) != may {
				t.Errorf("%q: cluster %s may import it: %t", text, cluster, !may)
			}
		}
	}
	all, _ := annotated("other", "")
	if text, _ := json.Marshal(all); strings.Contains(string(text), "consumers") || !all.MayImport("anybody") {
		t.Errorf("without the annotation: %s", text)
	}
}

// SPEC P3, M1: the oldest export says whom to prefer, be it nobody, and no younger one, which could draw the traffic of others; it
// is no conflict, and it is kept.
func TestPrefer_P3_L9(t *testing.T) {
	export := func(cluster string, age int, prefer ...string) Export {
		e, invalid := offered(func(e *mcs.ServiceExport, _ *corev1.Service) {
			for _, text := range prefer {
				e.Annotations = map[string]string{mcsapi.AnnotationPrefer: text}
			}
		})
		if invalid != nil {
			t.Fatal(invalid)
		}
		e.Cluster, e.Created = cluster, e.Created.Add(-time.Duration(age)*time.Hour)
		return e
	}
	for name, c := range map[string]struct {
		exports []Export
		want    []string
	}{
		"nobody says":     {[]Export{export("a", 2), export("b", 1)}, nil},
		"the oldest":      {[]Export{export("a", 1, "a"), export("b", 2, "local, b")}, []string{"local", "b"}},
		"a younger one":   {[]Export{export("a", 2), export("b", 1, "b")}, nil},
		"none, on demand": {[]Export{export("a", 2, ""), export("b", 1, "b")}, []string{}},
	} {
		var kept []Export
		stored, err := json.Marshal(c.exports)
		if err == nil {
			err = json.Unmarshal(stored, &kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, exports := range [][]Export{c.exports, {c.exports[1], c.exports[0]}, kept} {
			if got := Merge(exports, now); !reflect.DeepEqual(got.Prefer, c.want) || len(got.Conflicts) > 0 {
				t.Errorf("%s: %#v, %v; want %#v", name, got.Prefer, got.Conflicts, c.want)
			}
		}
	}
}

// SPEC P2, X2: an annotation that can't be kept makes the export invalid, and not one that goes to all.
func TestTooManyConsumers_P2_X2(t *testing.T) {
	_, invalid := annotated(mcsapi.AnnotationConsumers, strings.Repeat("a,", MaxChoiceBytes))
	if invalid == nil || invalid.Reason != InvalidChoice {
		t.Errorf("%+v", invalid)
	}
	kept, _ := annotated(mcsapi.AnnotationConsumers, "")
	kept.Consumers = []string{strings.Repeat("a", MaxChoiceBytes+1)}
	if kept.Check() == nil {
		t.Error("so much is believed to have been kept")
	}
}

// SPEC P2, X2: what no cluster can be called is not kept as the name of one; whoever names only such names nobody.
func TestChosenNames_P2_X2(t *testing.T) {
	long := strings.Repeat("a,", MaxChoiceBytes)
	for text, want := range map[string][]string{
		"c2,c1.east": {"c1.east", "c2"}, "<script>, c1, \x1b[2J, C2, ..": {"c1"}, "<>": {}, "": {}, strings.Repeat("a", 64): {}, long: {},
	} {
		e := &mcs.ServiceExport{}
		e.Annotations = map[string]string{mcsapi.AnnotationConsumers: text}
		if got := Consumers(e); got == nil || !slices.Equal(got, want) {
			t.Errorf("%.80q: %q, want %q", text, got, want)
		}
	}
}
