package clusters

import (
	"fmt"
	"slices"
	"time"
)

// This file is the policy of liveness (SPEC L2, L7), pure: time and what was seen come in, standings come out.

// Standing is what may be concluded of a provider from how it can be reached.
type Standing int

const (
	// Reachable: what it holds is what is known of it.
	Reachable Standing = iota
	// Lost: it can't be reached, but not for long enough to conclude anything; what consumers hold of it stays.
	Lost
	// Withdrawn: it has not been reached for the grace period, or is not back for the stable period yet; its endpoints are
	// to be taken out where others remain.
	Withdrawn
)

func (s Standing) String() string {
	return [...]string{"reachable", "lost", "withdrawn"}[s]
}

// Liveness says when a provider that can't be reached is given up, and when it is trusted again.
type Liveness struct {
	// Grace is how long a provider must not have been reached before its endpoints are withdrawn; 0 means 30 s, and less
	// than 0 never.
	Grace time.Duration
	// Stable is how long it must then be reached without a break before they return; 0 means 30 s.
	Stable time.Duration
}

func (l Liveness) withDefaults() Liveness {
	if l.Grace == 0 {
		l.Grace = 30 * time.Second
	}
	if l.Stable == 0 {
		l.Stable = 30 * time.Second
	}
	return l
}

// longestStep is the most that one step of time counts. What lies further apart was spent asleep: the machine, or this
// process, was suspended, and did not even try to reach anybody.
const longestStep = 5 * time.Second

// sighting is what is known of one remote provider at a moment.
type sighting struct {
	// ok says that its API answers and its watches follow.
	ok bool
	// at is when it was last known to be so; zero for never.
	at time.Time
}

// judge keeps the standings of the remote providers for as long as one replica leads. Time counts in steps between
// observations, so that only time counts in which this replica ran, led, and tried.
type judge struct {
	rules     Liveness
	last      time.Time     // of the last observation; zero before the first
	ran       time.Duration // time that counts, up to last
	cases     map[string]*providerCase
	suspended bool
}

// providerCase is what a judge knows of a provider.
type providerCase struct {
	standing Standing
	ok       bool
	// contact and good are when, in time that counts, it was last reached, and since when it is reached without a break.
	contact, good time.Duration
	// doubtful says that a leader before this one may have withdrawn it: it was out of reach from the first.
	doubtful bool
}

func newJudge(rules Liveness) *judge {
	return &judge{rules: rules.withDefaults(), cases: map[string]*providerCase{}}
}

// observe takes what is seen now, and brings the standings up to date.
func (j *judge) observe(now time.Time, seen map[string]sighting) {
	if !j.last.IsZero() {
		j.ran += max(0, min(now.Sub(j.last), longestStep))
	}
	for id := range j.cases {
		if _, ok := seen[id]; !ok {
			delete(j.cases, id)
		}
	}
	for id, s := range seen {
		c := j.cases[id]
		if c == nil {
			c = &providerCase{contact: j.ran, good: j.ran, ok: s.ok, doubtful: !s.ok && !s.at.IsZero()}
			j.cases[id] = c
		}
		c.see(s, now, j.ran)
	}
	j.last = now
	j.weigh()
}

// see notes a sighting. Contact counts from when it was, not from when it is looked at.
func (c *providerCase) see(s sighting, now time.Time, ran time.Duration) {
	if s.ok {
		c.contact = max(c.contact, ran-min(max(0, now.Sub(s.at)), longestStep))
		if !c.ok {
			c.good = ran
		}
	}
	c.ok = s.ok
}

// weigh draws the conclusions.
func (j *judge) weigh() {
	var missing []*providerCase
	trusted := 0
	for _, c := range j.cases {
		if c.standing == Withdrawn {
			continue
		}
		trusted++
		if !c.ok {
			missing = append(missing, c)
		}
	}
	// More than half of those that were there, and at least two, don't vanish together: it is we who are cut off.
	suspended := len(missing) >= 2 && 2*len(missing) > trusted
	if j.suspended && !suspended {
		for _, c := range missing {
			c.contact = j.ran // the time in which we were cut off proves nothing
		}
	}
	j.suspended = suspended
	for _, c := range j.cases {
		c.standing = j.conclude(c)
	}
}

func (j *judge) conclude(c *providerCase) Standing {
	back := j.ran-c.good >= j.rules.Stable
	switch {
	case !c.ok && c.standing == Withdrawn:
		return Withdrawn
	case !c.ok && !j.suspended && j.rules.Grace > 0 && j.ran-c.contact >= j.rules.Grace:
		return Withdrawn
	case !c.ok:
		return Lost
	case c.standing == Withdrawn && !back:
		return Withdrawn
	case c.doubtful && !back:
		return Lost
	}
	c.doubtful = false
	return Reachable
}

// standing returns what is concluded of a provider; one that is not observed, such as the own cluster, is reachable.
func (j *judge) standing(id string) Standing {
	if c := j.cases[id]; c != nil {
		return c.standing
	}
	return Reachable
}

// Policy says what is done with the endpoints of providers that are [Withdrawn].
type Policy string

// The policies.
const (
	Keep               Policy = "keep"
	Withdraw           Policy = "withdraw"
	WithdrawUnlessLast Policy = "withdraw-unless-last"
)

// ParsePolicy returns the policy of a name.
func ParsePolicy(name string) (Policy, error) {
	p := Policy(name)
	if !slices.Contains([]Policy{Keep, Withdraw, WithdrawUnlessLast}, p) {
		return "", fmt.Errorf("%q: want %s, %s or %s", name, Keep, Withdraw, WithdrawUnlessLast)
	}
	return p, nil
}

// Withdraws says whether a service is to lose the endpoints of its withdrawn providers, given whether others of its
// providers have ready endpoints. With [WithdrawUnlessLast] a service keeps stale endpoints rather than have none.
func (p Policy) Withdraws(othersReady bool) bool {
	return p == Withdraw || p == WithdrawUnlessLast && othersReady
}
