package command

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
)

// late says that a command took longer than its deadline.
type late struct{ error }

// grace is how long a command that was told to end may take to show what it has; see also [app.cleanup].
const grace = 2 * time.Second

// limit ends the command after its deadline: each of its requests has one of its own, but a slow server can cause many. What
// --wait allows comes on top, twice, for commands that wait for two things.
func (a *app) limit(cmd *cobra.Command) {
	if a.deadline <= 0 {
		return
	}
	whole := a.deadline
	if cmd.Flags().Lookup("wait") != nil {
		if wait, err := cmd.Flags().GetDuration("wait"); err == nil {
			whole += 2 * wait
		}
	}
	ctx, requests := members.Track(cmd.Context())
	cmd.SetContext(ctx)
	timer := time.AfterFunc(whole, func() {
		a.cancel(late{fmt.Errorf("not done within %s (--deadline): %s", whole, requests.Oldest())})
	})
	context.AfterFunc(ctx, func() { timer.Stop() })
}

// execute runs a command until it ends. One that does not end although it was told to, in the time that it needs for that, is left
// alone: what waits for no context is code of others, such as a credential plugin.
func execute(ctx context.Context, cleanup *atomic.Int64, run func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(grace + time.Duration(cleanup.Load())):
			err = context.Cause(ctx)
		}
	}
	var l late
	if cause := context.Cause(ctx); errors.As(cause, &l) {
		return problem{l}
	}
	return err
}
