package kit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Patience is how long a test waits for what normally takes milliseconds. It decides when to give up and measures nothing.
const Patience = 2 * time.Minute

// every is the time between two looks at a condition.
const every = 20 * time.Millisecond

// ErrHopeless, in the error of a condition, ends [Await] at once: asking again cannot help.
var ErrHopeless = errors.New("it can no longer become true")

// Await asks for a condition, at once and then again and again, until it returns nil or ctx is done, for [Patience] at most. It returns
// the last error that the condition had while there was time.
func Await(ctx context.Context, condition func(context.Context) error) error {
	return AwaitFor(ctx, Patience, condition)
}

// AwaitFor is [Await] for what takes longer, such as what waits for a garbage collector whose watches were broken.
func AwaitFor(ctx context.Context, limit time.Duration, condition func(context.Context) error) error {
	return AwaitEvery(ctx, every, limit, condition)
}

// AwaitEvery is [AwaitFor] with a time between two looks, for conditions that are expensive to look at or have to be seen early.
func AwaitEvery(ctx context.Context, every, limit time.Duration, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil || errors.Is(err, ErrHopeless) {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err // of a look that the end of ctx did not cut off
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}
