package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestSeverity: a failure is logged as an error whatever its kind, at the first, second, fourth try and so on; a cache that was
// behind is none, and hides no failure that came with it.
func TestSeverity(t *testing.T) {
	slices := schema.GroupResource{Group: "discovery.k8s.io", Resource: "endpointslices"}
	conflict := fmt.Errorf("update: %w", apierrors.NewConflict(slices, "a", errors.New("changed")))
	exists := apierrors.NewAlreadyExists(slices, "a")
	forbidden := fmt.Errorf("patch: %w", apierrors.NewForbidden(slices, "a", errors.New("policy")))
	for name, c := range map[string]struct {
		err   error
		tries int
		want  slog.Level
	}{
		"a refusal":                         {forbidden, 1, slog.LevelError},
		"its second try":                    {forbidden, 2, slog.LevelError},
		"its third try":                     {forbidden, 3, slog.LevelDebug},
		"its 64th try":                      {forbidden, 64, slog.LevelError},
		"a stale cache":                     {conflict, 1, slog.LevelDebug},
		"two of them":                       {errors.Join(conflict, exists), 1, slog.LevelDebug},
		"a refusal after a stale cache":     {errors.Join(conflict, forbidden), 1, slog.LevelError},
		"deeper":                            {errors.Join(errors.Join(conflict, exists), errors.Join(exists, forbidden)), 1, slog.LevelError},
		"no answer":                         {fmt.Errorf("create: %w", syscall.ECONNREFUSED), 1, slog.LevelError},
		"no answer in time":                 {fmt.Errorf("create: %w", context.DeadlineExceeded), 4, slog.LevelError},
		"a kind that is not served":         {fmt.Errorf("create: %w", errNoClient), 1, slog.LevelError},
		"an answer about another object":    {errors.New("the API server answered with another"), 1, slog.LevelError},
		"does not settle":                   {errUnsettled, 1, slog.LevelError},
		"somebody else's object in the way": {errTaken, 8, slog.LevelError},
	} {
		if got := severity(c.err, c.tries); got != c.want {
			t.Errorf("%s, try %d: %s, want %s", name, c.tries, got, c.want)
		}
	}
}
