package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Stalled is why a request ended of whose answer nothing came for so long.
type Stalled struct{ For time.Duration }

func (e *Stalled) Error() string {
	return fmt.Sprintf("nothing came from the API server for %v", e.For)
}

// progress is the context key of a function that is called whenever something of an answer came.
type progress struct{}

// UntilStalled returns a context for one request, which ends with the cause [Stalled] when nothing of the answer came for that long:
// an answer may take its time, as long as it goes on (SPEC L11).
func UntilStalled(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() { cancel(&Stalled{patience}) })
	ctx = context.WithValue(ctx, progress{}, func() { timer.Reset(patience) })
	return ctx, func() {
		cancel(nil) // first: a byte that comes now only sets the timer anew, which does nothing then
		timer.Stop()
	}
}

// progressOf returns what to call when something of the answer to a request came; it may do nothing.
func progressOf(ctx context.Context) func() {
	if came, ok := ctx.Value(progress{}).(func()); ok {
		return came
	}
	return func() {}
}

// stalls reports whether ctx is one of [UntilStalled].
func stalls(ctx context.Context) bool { return ctx.Value(progress{}) != nil }

// stalled returns why ctx ended, if that is [Stalled], or err.
func stalled(ctx context.Context, err error) error {
	var why *Stalled
	if err != nil && errors.As(context.Cause(ctx), &why) {
		return why
	}
	return err
}

// ending is the body of an answer to a request with a context of its own, which ends with it.
type ending struct {
	io.ReadCloser
	ctx  context.Context
	done context.CancelFunc
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = stalled(e.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (e *ending) Close() error {
	defer e.done()
	return e.ReadCloser.Close()
}

// arriving is the body of an answer, and says when something of it came, whoever reads it.
type arriving struct {
	io.ReadCloser
	came func()
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if n > 0 {
		a.came()
	}
	return n, err
}
