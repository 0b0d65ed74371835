package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC P2, I2: an automatic import whose annotation leaves all exporters out is not one that nobody exports: it stays,
// serves nothing, and says why. It would come back without the annotation else.
func TestLeftOut_P2(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	all := wanted(t, provider("east", time.Hour))
	c.settle(all, noon)
	c.imp.Annotations[mcsapi.AnnotationProviders] = "west"
	none := Wanted{Key: key, LeftOut: []string{"east"}, Members: []string{"east"}}
	c.settle(none, noon)
	if c.imp == nil || c.svc != nil || len(c.slices) != 0 || len(c.imp.Spec.IPs) != 0 || c.imp.Annotations[mcsapi.AnnotationProviders] != "west" {
		t.Fatalf("import %+v, Service %v, %d slices", c.imp, c.svc, len(c.slices))
	}
	if ready := conditionOf(c.imp, "Ready"); ready.Status != metav1.ConditionFalse || !strings.Contains(ready.Message, "left out by annotation clusterset.dev/providers: east") {
		t.Errorf("Ready: %+v", ready)
	}
	want := "imported from west only, by annotation clusterset.dev/providers; left out: east; not in the clusterset: west"
	if said := conditionOf(c.imp, ConditionRestricted); said.Message != want {
		t.Errorf("Restricted: %+v, want %s", said, want)
	}

	delete(c.imp.Annotations, mcsapi.AnnotationProviders)
	c.settle(all, noon)
	if said := conditionOf(c.imp, ConditionRestricted); c.svc == nil || said.Type != "" {
		t.Errorf("without the annotation: Service %v, %+v", c.svc, said)
	}
	c.settle(Wanted{Key: key}, noon)
	if c.imp != nil {
		t.Errorf("nobody exports it any more: %+v", c.imp)
	}
}
