package merge

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

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
