package liveness

import (
	"fmt"
	"slices"
	"time"
)

// Periods says when a provider that can't be reached is given up, and when it is trusted again.
type Periods struct {
	// Grace is how long a provider must not have been reached before its endpoints are withdrawn; 0 means 30 s, and less
	// than 0 never.
	Grace time.Duration
	// Stable is how long it must then be reached without a break before they return; 0 means 30 s.
	Stable time.Duration
}

func (l Periods) WithDefaults() Periods {
	if l.Grace == 0 {
		l.Grace = 30 * time.Second
	}
	if l.Stable == 0 {
		l.Stable = 30 * time.Second
	}
	return l
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
