package merge

import (
	"strings"
	"testing"
	"time"
)

// SPEC M1: a creationTimestamp much older than the moment at which a known cluster was first seen to export the name counts for
// nothing; that moment is the age. Ties go by creationTimestamp, then by id.
func TestAge_M1(t *testing.T) {
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	ancient := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	export := func(cluster string, created, seen time.Time) Export {
		return Export{Cluster: cluster, Created: created}.FirstSeen(seen)
	}
	for name, c := range map[string]struct {
		exports []Export
		want    string
	}{
		"nobody was seen to come":               {[]Export{export("a", at(-60), time.Time{}), export("b", ancient, time.Time{})}, "b a"},
		"an old one comes late":                 {[]Export{export("a", at(-60), time.Time{}), export("b", ancient, at(-30))}, "a b"},
		"and is the older one from then on":     {[]Export{export("a", at(-20), at(-20)), export("b", ancient, at(-30))}, "b a"},
		"ten minutes are believed":              {[]Export{export("a", at(-60), time.Time{}), export("b", at(-65), at(-55))}, "b a"},
		"a second more is not":                  {[]Export{export("a", at(-60), time.Time{}), export("b", at(-65).Add(-time.Second), at(-55))}, "a b"},
		"a tie: the older creationTimestamp":    {[]Export{export("a", ancient.Add(1), at(-30)), export("b", ancient.Add(-time.Hour), at(-30))}, "b a"},
		"a tie in both: the id":                 {[]Export{export("b", ancient, at(-30)), export("a", ancient, at(-30))}, "a b"},
		"before Kubernetes there is no age":     {[]Export{export("a", at(-5), time.Time{}), export("b", time.Unix(1, 0).UTC(), at(-30))}, "a b"},
		"a time in the future is the newest":    {[]Export{export("a", at(-5), time.Time{}), export("b", at(60), at(-30))}, "a b"},
		"seen before it was made, says a clock": {[]Export{export("a", at(-5), time.Time{}), export("b", at(-3), at(-30))}, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range permutations(c.exports) {
				if got := strings.Join(Merge(order, now).Clusters, " "); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
			for i := range c.exports {
				e := &c.exports[i]
				e.SessionAffinity, e.InternalTrafficPolicy = "None", "Cluster"
				e.Created = timestamp(e.Created)
				if err := e.Check(); err != nil {
					t.Errorf("what was made here is refused: %v", err)
				}
			}
		})
	}
}

// SPEC M1: what an import remembers settles the age, also after a restart, in which nobody is seen to come.
func TestRecall_M1(t *testing.T) {
	ancient, met := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(-time.Minute)
	other := Export{Cluster: "a", Created: now.Add(-time.Hour)}
	e := Export{Cluster: "b", Created: ancient}
	late := e.FirstSeen(now.Add(-2 * time.Hour))
	for name, c := range map[string]struct {
		e          Export
		remembered []Export
		known      bool
		want       time.Time
	}{
		"nothing is remembered: a new consumer, or a new name": {e, nil, true, time.Time{}},
		"remembered as late":                              {e, []Export{other, late}, true, late.Since},
		"remembered as late by a member that is new here": {e, []Export{late}, false, late.Since},
		"remembered as it was created":                    {e.FirstSeen(now), []Export{e, other}, true, time.Time{}},
		"others are remembered, and the member was known": {e, []Export{other}, true, met},
		"others are remembered, and the member is new":    {e, []Export{other}, false, time.Time{}},
		"seen to come": {e.FirstSeen(now), []Export{other}, true, now},
		"another creationTimestamp, not seen to change": {e, []Export{{Cluster: "b", Created: now.Add(-time.Hour)}}, false, met},
		"another creationTimestamp, seen to change":     {e.FirstSeen(now), []Export{{Cluster: "b", Created: now.Add(-time.Hour)}}, true, now},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.e.Recall(c.remembered, met, c.known); !got.Since.Equal(c.want) || got.Created != ancient {
				t.Errorf("since %s, want %s", got.Since, c.want)
			}
		})
	}
}

// TestFirstSeenIsRemembered_M1: whenever an export is first seen, its age is one that [Export.Check] takes for remembered.
func TestFirstSeenIsRemembered_M1(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	since := 0
	for _, after := range []time.Duration{0, unseenAge, unseenAge + time.Nanosecond, unseenAge + 500*time.Millisecond, unseenAge + time.Second, unseenAge + 1500*time.Millisecond} {
		e := Export{Cluster: "a", Created: created}.FirstSeen(created.Add(after))
		if !e.Since.IsZero() {
			since++
		}
		if !e.Since.IsZero() && e.Since.Sub(created) <= unseenAge {
			t.Errorf("first seen after %s, its age counts from %s", after, e.Since)
		}
	}
	if since != 2 {
		t.Errorf("%d were seen late, want 2", since)
	}
}
