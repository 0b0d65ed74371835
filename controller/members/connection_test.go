package members

import (
	"errors"
	"testing"
	"time"
)

// TestPause: probes of many members come together at beats that all share, none later than the interval (SPEC L1, L2).
func TestPause(t *testing.T) {
	for _, interval := range []time.Duration{5 * time.Second, 500 * time.Millisecond, 7 * time.Millisecond} {
		c := &connection{interval: interval}
		beats := map[time.Duration]bool{}
		for i := range 1000 {
			now := time.Unix(1700000000, int64(i)*1234567)
			wait := c.pause(now)
			if wait > interval || wait < interval*3/4 {
				t.Fatalf("%s, for an interval of %s", wait, interval)
			}
			if next := now.Add(wait); !next.Equal(next.Truncate(interval / 20)) {
				t.Fatalf("%s is at no beat of %s", next, interval/20)
			}
			beats[wait.Round(interval/20)] = true
		}
		if len(beats) < 3 {
			t.Errorf("with an interval of %s all wait alike", interval)
		}
	}
}

// TestOldAnswer_L10: a probe's answer counts for the interval to the next one, and for the time that this may take.
func TestOldAnswer_L10(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		contact contact
		want    bool
	}{
		"never":                 {contact{}, false},
		"just now":              {contact{At: now}, true},
		"before the last probe": {contact{At: now.Add(-10 * time.Second)}, true},
		"too long ago":          {contact{At: now.Add(-11 * time.Second)}, false},
		"failed since":          {contact{At: now.Add(-time.Second), Err: errors.New("no")}, false},
	} {
		if got := c.contact.within(now, 10*time.Second); got != c.want {
			t.Errorf("%s: counts: %t", name, got)
		}
	}
}
