package plan

import (
	"strings"
	"testing"
	"time"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// SPEC X3: into a closed namespace nothing is imported; what was, goes, but for a person's import, which says why.
func TestClosedNamespace_X3(t *testing.T) {
	const why = "namespace provider-ns is closed"
	served := func(t *testing.T, imp *mcs.ServiceImport) (*consumer, Wanted) {
		c, w := newConsumer(t, defaultConsumer()), wanted(t, provider("east", time.Hour))
		if imp != nil {
			c.putImport(imp)
		}
		if c.settle(w, noon); c.imp == nil || len(c.imp.Spec.IPs) == 0 || c.svc == nil || len(c.slices) == 0 {
			t.Fatalf("not served: %v", c.log)
		}
		c.Closed = why
		return c, w
	}
	t.Run("never imported", func(t *testing.T) {
		c := newConsumer(t, defaultConsumer())
		c.Closed = why
		if actions := c.settle(wanted(t, provider("east", time.Hour)), noon); len(actions) > 0 {
			t.Errorf("%v", c.log)
		}
	})
	t.Run("automatic", func(t *testing.T) {
		c, w := served(t, nil)
		if c.settle(w, noon); c.imp != nil || c.svc != nil || len(c.slices) > 0 {
			t.Errorf("something stays: %v", c.log)
		}
	})
	t.Run("a person's", func(t *testing.T) {
		c, w := served(t, onDemand())
		c.settle(w, noon)
		if c.imp == nil || len(c.imp.Spec.IPs) > 0 || c.svc != nil || len(c.slices) > 0 {
			t.Errorf("something is served: %v", c.log)
		}
		if got := conditionOf(c.imp, "Ready"); got.Status != "False" || got.Message != why {
			t.Errorf("the import says %+v", got)
		}
		c.Closed = ""
		if c.settle(w, noon); len(c.imp.Spec.IPs) == 0 || conditionOf(c.imp, "Ready").Status != "True" {
			t.Errorf("not served when it is open again: %v", c.log)
		}
	})
	t.Run("a person's, in doubt", func(t *testing.T) {
		c, w := served(t, onDemand())
		before := c.imp.Annotations
		w = Wanted{Key: w.Key, Unsure: map[string]bool{"east": true}}
		c.settle(w, noon)
		if c.svc != nil || len(c.slices) > 0 || len(c.imp.Spec.IPs) > 0 {
			t.Errorf("something is served: %v", c.log)
		}
		for name, value := range before {
			if c.imp.Annotations[name] != value {
				t.Errorf("what is remembered was changed: %s", name)
			}
		}
	})
}

// SPEC E3, X3: an import without a valid export says which are refused, and why, for where their own status can't be written.
func TestRefusedExports_E3(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	c.putImport(onDemand())
	w := wanted(t)
	w.Refused = []string{"east (NamespaceNotAllowed: it may not)"}
	c.settle(w, noon)
	if got := conditionOf(c.imp, "Ready").Message; !strings.Contains(got, "; refused: east (NamespaceNotAllowed: it may not)") {
		t.Errorf("the import says %q", got)
	}
}
