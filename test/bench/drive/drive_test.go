package drive

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

var errTest = errors.New("no")

func TestEach(t *testing.T) {
	var mu sync.Mutex
	var got []int
	if err := Each(t.Context(), 50, 4, func(_ context.Context, i int) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, i)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 50 {
		t.Errorf("called for %v", got)
	}
	calls := 0
	if err := Each(t.Context(), 50, 1, func(context.Context, int) error { calls++; return errTest }); !errors.Is(err, errTest) || calls != 1 {
		t.Errorf("%d calls after an error, and %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Each(ctx, 1, 1, func(context.Context, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestPoll(t *testing.T) {
	asked := 0
	if err := Poll(t.Context(), time.Millisecond, time.Minute, func(context.Context) error {
		if asked++; asked < 3 {
			return errTest
		}
		return nil
	}); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if err := Poll(t.Context(), time.Millisecond, 10*time.Millisecond, func(context.Context) error { return errTest }); !errors.Is(err, errTest) {
		t.Errorf("the last complaint is lost: %v", err)
	}
}
