package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/controller/merge"
)

var now = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// exportedBy is a name that clusters export, the first for the longest.
func exportedBy(ids ...string) Name {
	f := NewName(slices.Clone(ids))
	for n, id := range ids {
		f.Add(merge.Export{
			Cluster: id, Created: time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC),
			Service: merge.Service{Ports: []merge.Port{{Name: "http", Protocol: corev1.ProtocolTCP, Number: 80}}},
		}, Met{}, nil)
	}
	return f
}

// TestNarrow_P2: who sees whose export, by the annotations of both sides.
func TestNarrow_P2(t *testing.T) {
	for name, c := range map[string]struct {
		consumers map[string][]string
		consumer  string
		providers []string
		unsure    []string
		want      string // the clusters that it is made of, the winner first
		leftOut   string
		invalid   string
	}{
		"nothing said":                        {consumer: "c", want: "a b c"},
		"named":                               {consumers: map[string][]string{"a": {"c"}}, consumer: "c", want: "a b c"},
		"not named":                           {consumers: map[string][]string{"a": {"b"}}, consumer: "c", want: "b c", invalid: "a"},
		"not even the exporting one":          {consumers: map[string][]string{"a": {"b"}}, consumer: "a", want: "b c", invalid: "a"},
		"nobody is named":                     {consumers: map[string][]string{"a": {}, "b": {}, "c": {}}, consumer: "c", invalid: "a b c"},
		"providers":                           {consumer: "c", providers: []string{"c", "b"}, want: "b c", leftOut: "a"},
		"no provider":                         {consumer: "c", providers: []string{}, leftOut: "a b c"},
		"an unknown provider":                 {consumer: "c", providers: []string{"z"}, leftOut: "a b c"},
		"what is asked for is not for it":     {consumers: map[string][]string{"a": {"b"}}, consumer: "c", providers: []string{"a"}, leftOut: "b c", invalid: "a"},
		"left out while nothing is known":     {consumer: "c", providers: []string{"b"}, unsure: []string{"a"}, want: "b", leftOut: "a c"},
		"not named, and nothing is known now": {consumers: map[string][]string{"a": {"b"}}, consumer: "c", unsure: []string{"a"}, want: "b c", invalid: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := exportedBy("a", "b", "c")
			for id, named := range c.consumers {
				f.Consumers[id] = named
			}
			for _, id := range c.unsure {
				f.Unsynced[id] = true
			}
			whole := fmt.Sprint(f)
			v := f.For(c.consumer, c.providers, Memory{}, nil)
			r := v.Resolve(now)
			var of []string
			if r.Service != nil {
				of = r.Service.Clusters
			}
			if strings.Join(of, " ") != c.want {
				t.Errorf("made of %v, want %s", of, c.want)
			}
			for _, id := range f.Members {
				if r.Sees(id) != slices.Contains(of, id) && !r.Unsynced[id] {
					t.Errorf("sees %s: %t", id, r.Sees(id))
				}
			}
			invalid := slices.Sorted(maps.Keys(r.Invalid))
			if strings.Join(r.LeftOut, " ") != c.leftOut || strings.Join(invalid, " ") != c.invalid {
				t.Errorf("left out %v, invalid %v; want %q, %q", r.LeftOut, invalid, c.leftOut, c.invalid)
			}
			for id := range r.Unsynced {
				if !slices.Contains(of, id) {
					t.Errorf("waits for %s, which is not seen", id)
				}
			}
			if fmt.Sprint(f) != whole {
				t.Error("the name was changed")
			}
			if again := f.For(c.consumer, c.providers, Memory{}, nil); again.Key != v.Key {
				t.Error("who sees the same does not share a result")
			}
		})
	}
}

// TestAges_M1: an export that appeared while nobody looked counts from when it was seen, in consumers that were served before;
// an import keeps what was found, and those that agree share one offer.
func TestAges_M1(t *testing.T) {
	f := exportedBy("b", "a") // b is older
	for i := range f.Exports {
		e := &f.Exports[i]
		e.SessionAffinity, e.InternalTrafficPolicy = corev1.ServiceAffinityNone, corev1.ServiceInternalTrafficPolicyCluster
	}
	seen := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	f.Met = map[string]Met{"a": {At: seen, Known: true}, "b": {At: seen, Known: true}}
	remembering := func(exports ...merge.Export) Memory { return Memory{Text: fmt.Sprint(exports), Exports: exports} }
	b, a := f.Exports[0], f.Exports[1]
	late := b.FirstSeen(seen)
	for name, c := range map[string]struct {
		memory Memory
		known  string // the cluster of which something was imported before
		byFlag bool   // b, whose registration does not say since when it is
		want   string
		since  time.Time // of b
	}{
		"no import":                             {Memory{}, "a", false, "b a", time.Time{}},
		"remembered":                            {remembering(a, b), "a", false, "b a", time.Time{}},
		"not remembered":                        {remembering(a), "a", false, "a b", seen},
		"not remembered, but another name is":   {remembering(a), "b", true, "a b", seen},
		"not remembered, nor any other name":    {remembering(a), "a", true, "b a", time.Time{}},
		"not remembered, in a new consumer":     {remembering(a), "", false, "b a", time.Time{}},
		"remembered, but not what it is":        {remembering(a, b.Truncate()), "a", false, "b a", time.Time{}},
		"remembered as late":                    {remembering(a, late), "", false, "a b", seen},
		"remembered with another creation time": {remembering(a, merge.Export{Cluster: "b", Created: seen, Service: b.Service}), "", false, "a b", seen},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.Met = map[string]Met{"a": {At: seen, Known: true}, "b": {At: seen, Known: !c.byFlag}}
			known := map[string]bool{}
			if c.known != "" {
				known[c.known] = true
			}
			v := f.For("c", nil, c.memory, known)
			o := v.Resolve(now)
			if got := strings.Join(o.Service.Clusters, " "); got != c.want {
				t.Errorf("by age %s, want %s", got, c.want)
			}
			for _, e := range o.Service.Exports {
				if e.Cluster == "b" && !e.Since.Equal(c.since) {
					t.Errorf("b counts from %s", e.Since)
				}
			}
		})
	}
	one, other := f.For("c", nil, remembering(a), map[string]bool{"a": true}), f.For("d", nil, remembering(a, late), nil)
	if one.Key != other.Key {
		t.Error("consumers that agree do not share a result")
	}
	verdict := f.Verdict(func(map[string]bool) []merge.Export { return []merge.Export{a, late} })
	if got := verdict.Resolve(now).Service.Clusters; got[0] != "a" {
		t.Errorf("the verdict is by %s", got)
	}
}
