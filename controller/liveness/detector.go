package liveness

import (
	"slices"
	"time"
)

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

// longestStep is the most that one step of time counts. What lies further apart was spent asleep: the machine, or this
// process, was suspended, and did not even try to reach anybody.
const longestStep = 5 * time.Second

// Observation is what is known of one remote provider at a moment.
type Observation struct {
	// OK says that its API answers and its watches follow.
	OK bool
	// At is when it was last known to be so; zero for never.
	At time.Time
	// Joined is when this process began to reach for it, and Met says whether it ever knew all of it.
	Joined time.Time
	Met    bool
}

// Detector keeps the standings of the remote providers for as long as one replica leads. Time counts in steps between
// observations, so that only time counts in which this replica ran, led, and tried.
type Detector struct {
	rules     Periods
	last      time.Time     // of the last observation; zero before the first
	ran       time.Duration // time that counts, up to last
	cases     map[string]*providerCase
	Suspended bool // some count as cut off
	Said      bool // what is kept for that was logged
}

// providerCase is what a detector knows of a provider.
type providerCase struct {
	standing Standing
	OK       bool
	// contact and good are when, in time that counts, it was last reached, and since when it is reached without a break.
	contact, good time.Duration
	// left and gone are when it began to vanish and when it was last reached, in time that counts, or both when it joined if it
	// never was met: a return that is not stable moves only gone.
	left, gone time.Duration
	met        bool
	// cut says that it vanished with so many others that it is rather we who are cut off.
	cut bool
	// doubtful says that a leader before this one may have withdrawn it: it was out of reach from the first.
	doubtful bool
}

func NewDetector(rules Periods) *Detector {
	return &Detector{rules: rules.WithDefaults(), cases: map[string]*providerCase{}}
}

// Observe takes what is seen now, and brings the standings up to date.
func (j *Detector) Observe(now time.Time, seen map[string]Observation) {
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
			left := j.ran - s.since(now)
			c = &providerCase{contact: j.ran, good: j.ran, left: left, gone: left, OK: s.OK, doubtful: !s.OK && !s.At.IsZero()}
			j.cases[id] = c
		}
		c.see(s, now, j.ran, j.rules.Stable)
	}
	j.last = now
	j.weigh()
}

// since returns for how long the provider has not been reached.
func (s Observation) since(now time.Time) time.Duration {
	if s.Met {
		return max(0, now.Sub(s.At))
	}
	return max(0, now.Sub(s.Joined))
}

// ago returns for how long nothing has been heard of the provider.
func (s Observation) ago(now time.Time) time.Duration { return max(0, now.Sub(s.At)) }

// see notes a sighting. Contact counts from when it was, not from when it is looked at: that a question hangs is known only when
// it has hung for as long as it may.
func (c *providerCase) see(s Observation, now time.Time, ran, stable time.Duration) {
	if s.OK {
		at := ran - s.ago(now)
		c.contact, c.gone = max(c.contact, at), max(c.gone, at)
		if !c.OK {
			c.good = ran
		}
		if ran-c.good >= stable {
			c.left = c.gone
		}
	}
	c.OK, c.met = s.OK, c.met || s.Met
}

// weigh draws the conclusions.
func (j *Detector) weigh() {
	cut := make(map[*providerCase]bool, len(j.cases))
	for _, c := range j.cases {
		cut[c] = j.cutOff(c)
	}
	j.Suspended = false
	for c, is := range cut {
		if c.cut && !is {
			c.contact = j.ran // the time in which we were cut off proves nothing
		}
		c.cut = is
		j.Suspended = j.Suspended || is
	}
	for _, c := range j.cases {
		c.standing = j.conclude(c)
	}
}

// cutOff says whether c vanished together with others, at least two in all, that are more than those that are there: not they
// are gone then, but we are cut off (SPEC L2). Together is within a grace period, after which there was a verdict on each; or
// at any time while those others count as cut off. Whom this process never met, such as a registration that nobody took back or
// one without the CRDs, vanished when it joined, and speaks for nobody's later loss.
func (j *Detector) cutOff(c *providerCase) bool {
	if c.OK || c.standing == Withdrawn {
		return false
	}
	together, there := 0, 0
	for _, other := range j.cases {
		switch {
		case other.standing == Withdrawn:
		case other.OK:
			there++
		case other.cut && other.met, max(other.left-c.gone, c.left-other.gone) <= j.rules.Grace:
			together++
		}
	}
	return together >= 2 && together > there
}

// Kept returns the providers that would be withdrawn were we not cut off, sorted.
func (j *Detector) Kept() (ids []string) {
	for id, c := range j.cases {
		if c.cut && j.due(c) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// due says whether a provider has not been reached for the grace period.
func (j *Detector) due(c *providerCase) bool {
	return !c.OK && j.rules.Grace > 0 && j.graceOver(c)
}

// graceOver says whether the grace period has passed since the last contact.
func (j *Detector) graceOver(c *providerCase) bool { return j.ran-c.contact >= j.rules.Grace }

// stable says whether a provider that is reached has been so for the stable period.
func (j *Detector) stable(c *providerCase) bool { return j.ran-c.good >= j.rules.Stable }

func (j *Detector) conclude(c *providerCase) Standing {
	back := j.stable(c)
	switch {
	case !c.OK && c.standing == Withdrawn:
		return Withdrawn
	case j.due(c) && !c.cut:
		return Withdrawn
	case !c.OK:
		return Lost
	case c.standing == Withdrawn && !back:
		return Withdrawn
	case c.doubtful && !back:
		return Lost
	}
	c.doubtful = false
	return Reachable
}

// Standing returns what is concluded of a provider; one that is not observed, such as the own cluster, is reachable.
func (j *Detector) Standing(id string) Standing {
	if c := j.cases[id]; c != nil {
		return c.standing
	}
	return Reachable
}
