package clusterset

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrHopeless, in the error of a condition, ends [Await] at once.
var ErrHopeless = errors.New("it cannot come true any more")

// Await asks for condition every few milliseconds until it returns nil. It gives up when ctx is done, or after a minute,
// with the last error that was not of its own making.
func Await(ctx context.Context, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("waited a minute in vain"))
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
