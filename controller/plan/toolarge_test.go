package plan

import (
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// TestTooLarge_X6: of a ServiceImport that is too large to be kept nothing is known, so that nothing of its name is written or
// deleted; an imported slice that is too large is written anew, deleted where it is not wanted, and left alone where that is not known.
func TestTooLarge_X6(t *testing.T) {
	east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
	west.slices[0].Endpoints[0].Addresses, west.slices[0].Endpoints[1].Addresses = []string{"10.2.0.1"}, []string{"10.2.0.2"}
	imported := func() *consumer {
		c := newConsumer(t, defaultConsumer())
		c.settle(wanted(t, east, west), noon)
		return c
	}
	// inflated is what the consumer holds, with one slice as if somebody had made it too large.
	inflated := func(c *consumer) (h Held, s *discoveryv1.EndpointSlice) {
		h = c.held()
		for i, s := range h.Slices {
			if s.Labels[mcsapi.LabelSourceCluster] == "east" {
				large := s.DeepCopy()
				large.OwnerReferences = make([]metav1.OwnerReference, 100_000)
				h.Slices[i] = keep.ImportedSlice(large)
				if keep.Refused(h.Slices[i]) == "" {
					t.Fatal("it is kept")
				}
				return h, h.Slices[i]
			}
		}
		t.Fatal("nothing is imported from east")
		return h, nil
	}
	t.Run("import", func(t *testing.T) {
		c := imported()
		h := c.held()
		large := h.Import.DeepCopy()
		large.Status.Conditions = make([]metav1.Condition, 100_000)
		h.Import = keep.Import(large)
		if keep.Refused(h.Import) == "" {
			t.Fatal("it is kept")
		}
		closed := c.Consumer
		closed.Closed = "closed"
		for name, actions := range map[string][]Action{
			"exported":   For(c.Consumer, wanted(t, east, west), h, noon),
			"one left":   For(c.Consumer, wanted(t, west), h, noon),
			"unexported": For(c.Consumer, wanted(t), h, noon),
			"closed":     For(closed, wanted(t, east, west), h, noon),
		} {
			if len(actions) > 0 {
				t.Errorf("%s: %d writes, the first: %s", name, len(actions), actions[0].Reason)
			}
		}
		if _, needed := Blocked(c.Consumer, wanted(t, east, west), h, "no", noon); needed {
			t.Error("its status is written")
		}
	})
	t.Run("slice that is wanted", func(t *testing.T) {
		c := imported()
		h, s := inflated(c)
		actions := For(c.Consumer, wanted(t, east, west), h, noon)
		if len(actions) != 1 || actions[0].Verb != Update || actions[0].Object.GetName() != s.Name {
			t.Fatalf("the writes are %v", actions)
		}
		to := actions[0].Object.(*discoveryv1.EndpointSlice)
		if len(to.Endpoints) != 2 || to.ResourceVersion != s.ResourceVersion || to.UID != s.UID || len(to.Annotations) > 0 || len(to.OwnerReferences) != 1 {
			t.Errorf("written is %v", to)
		}
	})
	t.Run("slice that is not", func(t *testing.T) {
		c := imported()
		h, s := inflated(c)
		actions := For(c.Consumer, wanted(t, west), h, noon)
		deleted := false
		for i := range actions {
			deleted = deleted || actions[i].Verb == Delete && actions[i].Object.GetName() == s.Name
		}
		if !deleted {
			t.Errorf("the writes are %v", actions)
		}
	})
	t.Run("slice of a cluster of which nothing is known", func(t *testing.T) {
		c := imported()
		h, s := inflated(c)
		w := wanted(t, east, west)
		w.Sources, w.Unsure = w.Sources[1:], map[string]bool{"east": true}
		w.Service.SessionAffinity = "ClientIP" // something else changes
		actions := For(c.Consumer, w, h, noon)
		for i := range actions {
			if actions[i].Object.GetName() == s.Name {
				t.Errorf("it is written: %s, %s", actions[i].Verb, actions[i].Reason)
			}
		}
		if len(actions) == 0 {
			t.Error("nothing else is written")
		}
	})
}
