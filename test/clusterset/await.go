package clusterset

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrHopeless, in the error of a condition, ends [Await] at once.
var ErrHopeless = errors.New("it cannot come true any more")

// Await asks for condition every few milliseconds until it returns nil. It gives up when ctx is done, or after two minutes,
// with the last error that was not of its own making.
func Await(ctx context.Context, condition func(context.Context) error) error {
	return AwaitFor(ctx, 2*time.Minute, condition)
}

// AwaitFor is [Await] for what may take longer, such as what waits for a garbage collector whose watches were broken.
func AwaitFor(ctx context.Context, limit time.Duration, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("waited %v in vain", limit))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil || errors.Is(err, ErrHopeless) {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}
