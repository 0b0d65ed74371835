package kit

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errFalse = errors.New("it is not so")

// Eventually waits until check returns nil, and ends the test with its last error if that takes longer than [Patience]. What names the
// condition for people.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	EventuallyWithin(t, Patience, what, check)
}

// EventuallyWithin is [Eventually] for what may take longer by design.
func EventuallyWithin(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	// The test's context ends before its cleanups, which wait, too.
	err := AwaitFor(context.WithoutCancel(t.Context()), limit, func(context.Context) error { return check() })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// True is [Eventually] for a condition that has no more to say than whether it holds.
func True(t testing.TB, what string, holds func() bool) {
	t.Helper()
	TrueWithin(t, Patience, what, holds)
}

// TrueWithin is [True] for what may take longer by design.
func TrueWithin(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	EventuallyWithin(t, limit, what, func() error {
		if !holds() {
			return errFalse
		}
		return nil
	})
}

// Must ends the test if err is not nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Got returns what a function returned, and ends the test if that came with an error: kit.Got[T](t)(f()).
func Got[T any](t testing.TB) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		Must(t, err)
		return value
	}
}

// MustAwait is [Await] for a test, which it ends if the condition does not come true.
func MustAwait(t testing.TB, condition func(context.Context) error) {
	t.Helper()
	Must(t, Await(context.WithoutCancel(t.Context()), condition))
}
