package liveness

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// story tells a judge what it sees, second by second: one letter per second and provider, '+' for reached, '-' for not,
// 'z' for a minute asleep instead of a second. It returns the standings, one letter per second: Reachable, Lost, Withdrawn,
// with '!' appended to the line of the judge while withdrawal is suspended.
func story(rules Periods, providers map[string]string) map[string]string {
	j := NewDetector(rules)
	now := time.Unix(1000, 0)
	at, joined := map[string]time.Time{}, map[string]time.Time{}
	out := map[string]string{}
	length := 0
	for _, seen := range providers {
		length = max(length, len(seen))
	}
	for i := range length {
		asleep := false
		for _, seen := range providers {
			asleep = asleep || i < len(seen) && seen[i] == 'z'
		}
		if asleep {
			now = now.Add(time.Minute)
		} else {
			now = now.Add(time.Second)
		}
		seen := map[string]Observation{}
		for id, s := range providers {
			if i >= len(s) || s[i] == ' ' {
				continue // not in the set
			}
			ok := s[i] == '+'
			if ok {
				at[id] = now
			}
			if joined[id].IsZero() {
				joined[id] = now
			}
			seen[id] = Observation{OK: ok, At: at[id], Joined: joined[id], Met: !at[id].IsZero()}
		}
		j.Observe(now, seen)
		for id := range seen {
			out[id] += strings.ToUpper(j.Standing(id).String()[:1])
		}
		if j.Suspended {
			out["judge"] += "!"
		} else {
			out["judge"] += "."
		}
	}
	return out
}

// TestJudge holds the rules of liveness, with a grace period of 3 s and a stable period of 2 s.
func TestJudge(t *testing.T) {
	rules := Periods{Grace: 3 * time.Second, Stable: 2 * time.Second}
	for name, tc := range map[string]struct {
		rules      Periods
		seen, want map[string]string
	}{
		"withdrawn after the grace period (L2)": {
			seen: map[string]string{"a": "+++-----"},
			want: map[string]string{"a": "RRRLLWWW"},
		},
		"a break shorter than that changes nothing (L7)": {
			seen: map[string]string{"a": "++--++--++"},
			want: map[string]string{"a": "RRLLRRLLRR"},
		},
		"back after the stable period (L7)": {
			seen: map[string]string{"a": "+---++++"},
			want: map[string]string{"a": "RLLWWWRR"},
		},
		"flapping does not come back (L7)": {
			seen: map[string]string{"a": "+---+-++-+++"},
			want: map[string]string{"a": "RLLWWWWWWWWR"},
		},
		"never reached by this leader counts from its start (L2)": {
			seen: map[string]string{"a": "-----+++"},
			want: map[string]string{"a": "LLLWWWWR"},
		},
		"at the start, what connects within the grace period is there at once": {
			seen: map[string]string{"a": "-++"},
			want: map[string]string{"a": "LRR"},
		},
		"time asleep does not count (L2)": {
			rules: Periods{Grace: 20 * time.Second},
			seen:  map[string]string{"a": "+-zz-"},
			want:  map[string]string{"a": "RLLLL"}, // a step counts as 5 s at most
		},
		"grace below zero: never": {
			rules: Periods{Grace: -1},
			seen:  map[string]string{"a": "+-------"},
			want:  map[string]string{"a": "RLLLLLLL"},
		},
		"one of two vanishes": {
			seen: map[string]string{"a": "+-----", "b": "++++++"},
			want: map[string]string{"a": "RLLWWW", "b": "RRRRRR", "judge": "......"},
		},
		"all vanish: we are cut off (L2)": {
			seen: map[string]string{"a": "+-----++", "b": "+-----++"},
			want: map[string]string{"a": "RLLLLLRR", "b": "RLLLLLRR", "judge": ".!!!!!.."},
		},
		"two of three vanish: we are cut off; once one is back, grace starts anew (L2)": {
			seen: map[string]string{"a": "+---------", "b": "+----+++++", "c": "++++++++++"},
			want: map[string]string{"a": "RLLLLLLLWW", "b": "RLLLLRRRRR", "c": "RRRRRRRRRR", "judge": ".!!!!....."},
		},
		"two of four vanish: half is not more than half": {
			seen: map[string]string{"a": "+---", "b": "+---", "c": "++++", "d": "++++"},
			want: map[string]string{"a": "RLLW", "b": "RLLW", "c": "RRRR", "d": "RRRR"},
		},
		"one after the other is no cut": {
			seen: map[string]string{"a": "+---------", "b": "++++++----", "c": "++++++++++"},
			want: map[string]string{"a": "RLLWWWWWWW", "b": "RRRRRRLLWW", "c": "RRRRRRRRRR", "judge": ".........."},
		},
		"one that was cut off for a moment less left when it first did (L7)": {
			seen: map[string]string{"a": "++++++++++", "b": "+---+-----", "c": "+---------"},
			want: map[string]string{"b": "RLLLRLLLLL", "c": "RLLLLLLLLL", "judge": ".!!!.!!!!!"},
		},
		"cut off after a flap (L2, L7)": {
			seen: map[string]string{"a": "+++++++-----", "b": "+++--++-----"},
			want: map[string]string{"a": "RRRRRRRLLLLL", "b": "RRRLLRRLLLLL", "judge": ".......!!!!!"},
		},
		"cut off, and then from one more: it is not believed dead (L2)": {
			seen: map[string]string{"a": "+---------", "b": "+---------", "c": "++++++----", "d": "+---------", "e": "++++++++++"},
			want: map[string]string{"a": "RLLLLLLLLL", "c": "RRRRRRLLLL", "e": "RRRRRRRRRR", "judge": ".!!!!!!!!!"},
		},
		"a start in the middle of a partition (L2)": {
			seen: map[string]string{"a": "++++++++", "b": "--------", "c": "--------"},
			want: map[string]string{"b": "LLLLLLLL", "c": "LLLLLLLL", "judge": "!!!!!!!!"},
		},
		"who was never there does not vouch for who dies later (L2)": {
			seen: map[string]string{"a": "+++++++------", "b": "-------------", "c": "-------------"},
			want: map[string]string{"a": "RRRRRRRLLWWWW", "b": "LLLLLLLLLLLLL", "c": "LLLLLLLLLLLLL", "judge": "!!!!!!!!!!!!!"},
		},
		"one that joins later counts from then": {
			seen: map[string]string{"a": "   ----", "b": "+++++++"},
			want: map[string]string{"a": "LLLW", "b": "RRRRRRR"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.rules == (Periods{}) {
				tc.rules = rules
			}
			got := story(tc.rules, tc.seen)
			for id, want := range tc.want {
				if got[id] != want {
					t.Errorf("%s: seen %s, got %s, want %s", id, tc.seen[id], got[id], want)
				}
			}
		})
	}
}

// TestJudgeTakesOver_L2 holds that a replica which begins to lead knows from its time as a standby who vanished together.
func TestJudgeTakesOver_L2(t *testing.T) {
	j := NewDetector(Periods{Grace: 10 * time.Second, Stable: 3 * time.Second})
	start := time.Unix(100000, 0)
	ago := func(d time.Duration) time.Time { return start.Add(-d) }
	for n := range 12 {
		now := start.Add(time.Duration(n) * time.Second)
		j.Observe(now, map[string]Observation{
			"dead":   {At: ago(5 * time.Second), Joined: ago(time.Hour), Met: true}, // with the leader before
			"gone":   {Joined: ago(time.Hour)},
			"no CRD": {At: now, Joined: ago(time.Hour)},
			"live":   {OK: true, At: now, Joined: ago(time.Hour), Met: true},
		})
		if kept := j.Kept(); n < 10 && len(kept) > 0 {
			t.Errorf("kept at second %d: %v", n, kept)
		}
	}
	if j.Standing("dead") != Withdrawn || j.Standing("gone") != Lost || j.Standing("live") != Reachable {
		t.Errorf("dead %v, gone %v, live %v", j.Standing("dead"), j.Standing("gone"), j.Standing("live"))
	}
	if kept := j.Kept(); !slices.Equal(kept, []string{"gone", "no CRD"}) {
		t.Errorf("kept: %v", kept)
	}
}

// TestJudgeCountsFromContact_L2 holds that grace runs from the last contact, however late the loss is noticed.
func TestJudgeCountsFromContact_L2(t *testing.T) {
	j := NewDetector(Periods{Grace: 10 * time.Second})
	start := time.Unix(1000, 0)
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	var standings []string
	for n := range 13 {
		// The last probe that was answered was at second 1; that the next one failed is known at second 10.
		s := Observation{OK: n < 10, At: second(min(n, 1)), Met: true}
		j.Observe(second(n), map[string]Observation{"a": s})
		standings = append(standings, fmt.Sprint(j.Standing("a")))
	}
	if i := slices.Index(standings, "withdrawn"); i != 11 {
		t.Errorf("withdrawn at second %d, want 11: %v", i, standings)
	}
}

// TestJudgeSucceeds_L7 holds that a leader does not bring back at once what the leader before it may have withdrawn.
func TestJudgeSucceeds_L7(t *testing.T) {
	j := NewDetector(Periods{Grace: 10 * time.Second, Stable: 3 * time.Second})
	start := time.Unix(1000, 0)
	var standings []string
	for n := range 6 {
		now := start.Add(time.Duration(n) * time.Second)
		s := Observation{OK: n > 0, At: now, Met: true}
		if n == 0 {
			s.At = start.Add(-time.Hour) // it was reached once, by this replica while it stood by
		}
		j.Observe(now, map[string]Observation{"a": s})
		standings = append(standings, fmt.Sprint(j.Standing("a")))
	}
	if want := []string{"lost", "lost", "lost", "lost", "reachable", "reachable"}; !slices.Equal(standings, want) {
		t.Errorf("got %v, want %v", standings, want)
	}
}
