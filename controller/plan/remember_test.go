package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

func remembering(text string) *mcs.ServiceImport {
	return &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc", Annotations: map[string]string{mcsapi.AnnotationExports: text}}}
}

// SPEC L9: what an import remembers is what it was made of, and makes the same service.
func TestRemembered_L9(t *testing.T) {
	result := wanted(t, provider("east", time.Hour), provider("west", 2*time.Hour)).Service
	exports, err := Remembered(remembering(remember(result.Exports)))
	if err != nil {
		t.Fatal(err)
	}
	if again := merge.Merge(exports, noon); !reflect.DeepEqual(&again, result) {
		t.Errorf("%+v became %+v", result, again)
	}
	if exports, err := Remembered(&mcs.ServiceImport{}); exports != nil || err != nil {
		t.Errorf("of nothing: %v, %v", exports, err)
	}
}

// SPEC L9, X2: however much clusters export, the annotation stays below what an object may have, and the oldest exports,
// which make the service, are kept whole.
func TestRememberedSizeIsBounded_L9(t *testing.T) {
	var exports []merge.Export
	for c := range 60 {
		e := merge.Export{Cluster: fmt.Sprintf("cluster-%02d", c), Created: noon, Annotations: map[string]string{"note": strings.Repeat("x", 30<<10)}}
		e.SessionAffinity, e.InternalTrafficPolicy = "None", "Cluster"
		for p := range 200 {
			e.Ports = append(e.Ports, merge.Port{Name: fmt.Sprintf("a-port-with-a-long-name-%d", p), Protocol: "TCP", Number: int32(p + 1)})
		}
		exports = append(exports, e)
	}
	text := remember(exports)
	if len(text) > maxRemembered {
		t.Errorf("%d bytes", len(text))
	}
	kept, err := Remembered(remembering(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) == 0 || !reflect.DeepEqual(kept[0], exports[0]) {
		t.Errorf("the oldest export is not kept whole of %d", len(kept))
	}
}

// SPEC L9, M1, X2: a long export pushes no other out, whether it is the oldest, the youngest or between them; and what can be
// longer than all that may be kept, when it is written as JSON, is not kept.
func TestLongExportPushesNoneOut_L9_M1(t *testing.T) {
	ports := func(n int) (list []merge.Port) {
		for p := range n {
			list = append(list, merge.Port{Name: fmt.Sprintf("%s%04d", strings.Repeat("p", 50), p), Protocol: "TCP", Number: int32(p + 1)})
		}
		return list
	}
	export := func(c int, ports []merge.Port) merge.Export {
		e := merge.Export{Cluster: fmt.Sprintf("c%03d", c), Created: noon, Since: noon.Add(time.Hour)}
		e.SessionAffinity, e.InternalTrafficPolicy, e.Ports = "None", "Cluster", ports
		return e
	}
	for _, at := range [][]int{{0}, {100}, {199}, {0, 199}, {100, 101}} {
		var exports []merge.Export
		for c := range 200 {
			exports = append(exports, export(c, ports(1)))
		}
		for _, c := range at {
			exports[c].Ports = ports(1000)
			exports[c].Annotations = map[string]string{"note": strings.Repeat("<", 32<<10)} // six bytes of JSON each
		}
		text := remember(exports)
		kept, err := Remembered(remembering(text))
		if err != nil {
			t.Fatal(err)
		}
		truncated := 0
		for i := range kept {
			if kept[i].Truncated {
				truncated++
			}
		}
		if len(text) > maxRemembered || len(kept) != len(exports) || truncated > len(at) {
			t.Errorf("long at %d: %d bytes, %d of %d exports are kept", at, len(text), len(kept), len(exports))
		}
	}
	huge := export(0, ports(1000))
	for range 16 << 10 {
		huge.Consumers = append(huge.Consumers, "<<<<<<<<")
	}
	if text := remember([]merge.Export{huge, export(1, nil)}); len(text) > maxRemembered || !strings.Contains(text, `"c001"`) {
		t.Errorf("%d bytes", len(text))
	}
}

// SPEC L9, X2: an annotation that this controller did not write says nothing.
func TestRememberedHostile_X2(t *testing.T) {
	good := `{"cluster":"a","created":"2026-01-01T00:00:00Z","sessionAffinity":"None","internalTrafficPolicy":"Cluster"}`
	if _, err := Remembered(remembering("[" + good + "]")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                      "",
		"no list":                    good,
		"twice":                      "[" + good + "," + good + "]",
		"reserved label":             `[` + strings.TrimSuffix(good, "}") + `,"labels":{"kubernetes.io/x":"y"}}]`,
		"port 0":                     `[` + strings.TrimSuffix(good, "}") + `,"ports":[{"protocol":"TCP","number":0}]}]`,
		"consumer that is none":      `[` + strings.TrimSuffix(good, "}") + `,"consumers":["a","<b>"]}]`,
		"preferred one that is none": `[` + strings.TrimSuffix(good, "}") + `,"prefer":["A"]}]`,
		"other type":                 `[` + strings.TrimSuffix(good, "}") + `,"ports":"all"}]`,
		"cluster of path":            strings.Replace("["+good+"]", `"a"`, `"../a"`, 1),
	} {
		exports, err := Remembered(remembering(text))
		if err == nil || exports != nil || !strings.Contains(err.Error(), "ns/svc") {
			t.Errorf("%s: %v, %v", name, exports, err)
		}
	}
}

// FuzzRemembered holds that whatever is in the annotation, what is read back can be merged, planned with and remembered.
func FuzzRemembered(f *testing.F) {
	e, w := provider("east", time.Hour), provider("west", 2*time.Hour)
	w.labels = map[string]string{"team": "a"}
	f.Add(remember(wanted(f, e, w).Service.Exports))
	f.Add(`[{"cluster":"a","created":"9999-12-31T23:59:59-12:00"}]`)
	f.Add(`[{"cluster":"a","created":"0001-01-01T00:00:00Z","sessionAffinity":"ClientIP","affinityTimeout":1,"internalTrafficPolicy":"Local","ipFamilies":["IPv6"],"ports":[{"number":1,"protocol":"UDP"}]}]`)
	f.Add(`[{}]`)
	f.Add(`[{"cluster":"a","created":"2026-01-01T00:00:00Z","truncated":true},{"cluster":"b","created":"2026-01-01T00:00:00Z","sessionAffinity":"None","internalTrafficPolicy":"Cluster"}]`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		exports, err := Remembered(remembering(text))
		exports = slices.DeleteFunc(exports, func(e merge.Export) bool { return e.Truncated })
		if err != nil || len(exports) == 0 {
			return
		}
		service := merge.Merge(exports, noon)
		c := newConsumer(t, defaultConsumer())
		want := Wanted{Key: key, Service: &service, Unsure: map[string]bool{}}
		for _, cluster := range service.Clusters {
			want.Unsure[cluster] = true
		}
		c.settle(want, noon)
		if _, err := Remembered(c.imp); err != nil {
			t.Errorf("what was read is not what is written: %v", err)
		}
	})
}

// SPEC M1: the age that was found is remembered with the export, and announced as what it is.
func TestRememberedAge_M1(t *testing.T) {
	east, west := provider("east", time.Hour), provider("west", 100*24*time.Hour)
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, east), noon)
	both := func(seen time.Time) Wanted {
		w := wanted(t, east, west)
		exports := slices.Clone(w.Service.Exports)
		for i := range exports {
			if exports[i].Cluster == "west" {
				exports[i] = exports[i].FirstSeen(seen)
			}
		}
		*w.Service = merge.Merge(exports, noon)
		return w
	}
	c.settle(both(noon), noon)
	kept, err := Remembered(c.imp)
	if err != nil || len(kept) != 2 || kept[0].Cluster != "east" || !kept[1].Since.Equal(noon) {
		t.Errorf("remembered %+v, %v", kept, err)
	}
	w := both(noon.Add(-2 * time.Hour))
	p := newPass(c.Consumer, w, c.held(), noon)
	events := p.precedence()
	if len(events) != 1 || !strings.Contains(events[0].Message, "the export of west, first seen 2026-03-01 10:00:00 UTC, is older than that of east") {
		t.Errorf("events %+v", events)
	}
}
