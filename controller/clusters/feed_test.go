package clusters

import (
	"context"
	"testing"
	"time"
)

// TestPagesTakeTurns_L5 holds that clusters which don't answer keep others from reading a page for a moment only.
func TestPagesTakeTurns_L5(t *testing.T) {
	for range pagesAtOnce {
		done, err := takeTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := takeTurn(gone); err == nil {
		t.Error("a turn was given although all are taken")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*pageTurn)
	defer cancel()
	began := time.Now()
	done, err := takeTurn(ctx)
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	done()
	for range pagesAtOnce { // and none is lost
		if done, err = takeTurn(ctx); err != nil {
			t.Fatal(err)
		}
		defer done()
	}
}
