package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// long makes the export of a cluster too long to be remembered.
func long(w Wanted, cluster string) Wanted {
	exports := slices.Clone(w.Service.Exports)
	for i := range exports {
		if exports[i].Cluster != cluster {
			continue
		}
		exports[i].Ports = nil
		for p := range 1000 {
			exports[i].Ports = append(exports[i].Ports, merge.Port{Name: fmt.Sprintf("%s%04d", strings.Repeat("p", 55), p), Protocol: "TCP", Number: int32(p + 1)})
		}
		for range merge.MaxChoiceBytes {
			exports[i].Prefer = append(exports[i].Prefer, "a")
		}
	}
	result := merge.Merge(exports, noon)
	w.Service = &result
	return w
}

// SPEC L6, L9, X6: a service that waits for a cluster of which nothing is known after a restart says so and what to do, where the
// cluster's export was too long to be remembered; also where nothing but the memory tells that the cluster exports.
func TestHeldServiceSaysSo_L9_X6(t *testing.T) {
	const tooLong = "east: not known what it exports now, and its last known export is too long to be remembered; " +
		"type, ports and addresses of the service stay as they are until the cluster can be read again, or is removed with mcsctl leave"
	for name, test := range map[string]struct {
		long, forget, unreachable bool
		drops                     Fields
		endpoints                 int
		others                    bool // west exports, too
		message                   string
	}{
		"too long":                            {long: true, endpoints: 1, others: true, message: tooLong},
		"too long, alone":                     {long: true, endpoints: 1, message: tooLong},
		"too long, in reach of nothing else":  {long: true, others: true, drops: Fields{"status.clusters": true}, message: tooLong},
		"too long, no place for conditions":   {long: true, others: true, drops: Fields{"status.clusters": true, "status.conditions": true}, message: tooLong},
		"remembered":                          {endpoints: 1, others: true},
		"not remembered, not read yet":        {forget: true, endpoints: 1, others: true},
		"not remembered, past grace period":   {forget: true, unreachable: true, endpoints: 1, others: true, message: strings.Replace(tooLong, "too long to be", "not", 1)},
		"too long, beside an unreachable one": {long: true, unreachable: true, endpoints: 1, others: true, message: tooLong + "; west: unreachable, endpoints kept as last known"},
	} {
		t.Run(name, func(t *testing.T) {
			east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
			east.slices = east.slices[:test.endpoints]
			west.service.Ports[0].Port = 8080
			all := []*exporter{east}
			if test.others {
				all = append(all, west)
			}
			c := newConsumer(t, defaultConsumer())
			c.Drops = test.drops
			whole := func() Wanted {
				w := wanted(t, all...)
				if test.long {
					w = long(w, "east")
				}
				return w
			}
			c.settle(whole(), noon)
			if test.forget {
				c.imp.Annotations = map[string]string{}
			}
			before, ports := conditionOf(c.imp, "Ready"), fmt.Sprint(c.imp.Spec.Ports)
			held := Wanted{Key: key}
			if test.others {
				held = wanted(t, west)
			}
			held.Unsure = map[string]bool{"east": true}
			if test.unreachable {
				held.Unreachable = map[string]bool{"east": true, "west": test.long}
			}
			if !test.long && !test.forget { // what is remembered counts
				held.Service = whole().Service
			}
			c.settle(held, noon.Add(time.Hour))
			said := func() string {
				held := newPass(c.Consumer, held, c.held(), noon).heldConditions()
				for _, h := range held {
					if h.Type == ConditionUnreachable && strings.HasPrefix(h.Reason, ServiceKept) {
						return h.Message
					}
				}
				return ""
			}
			if got := said(); got != test.message {
				t.Errorf("it says %q, want %q", got, test.message)
			}
			if after := fmt.Sprint(c.imp.Spec.Ports); after != ports || conditionOf(c.imp, "Ready") != before {
				t.Errorf("the service did not stay as it was: %v", c.log)
			}
			c.settle(whole(), noon.Add(2*time.Hour))
			if got := said(); got != "" {
				t.Errorf("once the cluster is known it says %q", got)
			}
		})
	}
}

// SPEC L9, M1, X2: of each export its cluster and its age are remembered, however long the exports are.
func TestAgesAreRemembered_L9_M1(t *testing.T) {
	w := wanted(t, provider("east", 2*time.Hour), provider("west", time.Hour))
	w = long(long(w, "east"), "west")
	exports := slices.Clone(w.Service.Exports)
	exports[1] = exports[1].FirstSeen(noon)
	text := remember(exports)
	kept, err := Remembered(remembering(text))
	if err != nil || len(text) > maxRemembered || len(kept) != 2 {
		t.Fatalf("%d bytes, %d exports, %v", len(text), len(kept), err)
	}
	for i := range kept {
		if kept[i].Cluster != exports[i].Cluster || !kept[i].Created.Equal(exports[i].Created) || !kept[i].Since.Equal(exports[i].Since) || !kept[i].Truncated {
			t.Errorf("%d: %+v", i, kept[i])
		}
	}
	if _, err := Remembered(remembering(`[{"cluster":"a","created":"2026-01-01T00:00:00Z","truncated":true,"headless":true}]`)); err == nil {
		t.Errorf("annotation %s with more than an age of a truncated export is taken", mcsapi.AnnotationExports)
	}
}
