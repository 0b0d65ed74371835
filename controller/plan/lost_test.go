package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC L2, L7: a leader that takes over while a provider is out of reach does not know yet whether the one before withdrew
// its endpoints. What was withdrawn stays so, and is said still; what is present stays, and follows; and a service that is
// new here is imported whole.
func TestLost_L2_L7(t *testing.T) {
	east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
	west.slices[0].Endpoints[0].Addresses, west.slices[0].Endpoints[1].Addresses = []string{"10.2.0.1"}, []string{"10.2.0.2"}
	from := func(c *consumer) (n int) {
		for _, s := range c.slices {
			if s.Labels[mcsapi.LabelSourceCluster] == "east" {
				n += len(s.Endpoints)
			}
		}
		return n
	}
	lost := func() Wanted {
		w := wanted(t, east, west)
		w.Sources[0].Lost = true
		return w
	}
	imported := func() *consumer {
		c := newConsumer(t, defaultConsumer())
		c.settle(wanted(t, east, west), noon)
		return c
	}
	t.Run("present", func(t *testing.T) {
		c := imported()
		if actions := c.settle(lost(), noon); len(actions) > 0 || from(c) != 2 {
			t.Errorf("%v", c.log)
		}
		w := lost()
		more := w.Sources[0].Slices[0].DeepCopy()
		more.Endpoints = more.Endpoints[:1]
		w.Sources[0].Slices = append(w.Sources[0].Slices[:0:0], more)
		if c.settle(w, noon); from(c) != 1 {
			t.Errorf("does not follow: %v", c.log)
		}
	})
	t.Run("withdrawn", func(t *testing.T) {
		c := imported()
		w := wanted(t, east, west)
		w.Sources[0].Withdrawn, w.Unreachable = true, map[string]bool{"east": true}
		if c.settle(w, noon); from(c) != 0 {
			t.Fatal("not withdrawn")
		}
		if actions := c.settle(lost(), noon); len(actions) > 0 {
			t.Errorf("%v", c.log)
		}
		if got := conditionOf(c.imp, ConditionUnreachable).Message; !strings.Contains(got, "east: unreachable, endpoints withdrawn") {
			t.Errorf("the import says %q", got)
		}
		if c.settle(wanted(t, east, west), noon); from(c) != 2 || conditionOf(c.imp, ConditionUnreachable).Type != "" {
			t.Errorf("does not return: %v", c.log)
		}
	})
	t.Run("new", func(t *testing.T) {
		c := newConsumer(t, defaultConsumer())
		if c.settle(lost(), noon); from(c) != 2 {
			t.Errorf("%v", c.log)
		}
	})
	t.Run("without endpoints", func(t *testing.T) {
		slices := east.slices
		defer func() { east.slices = slices }()
		east.slices = nil
		c := imported()
		if actions := c.settle(lost(), noon); len(actions) > 0 {
			t.Errorf("it is said to be withdrawn: %v", c.log)
		}
	})
}
