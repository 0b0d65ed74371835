package mirror

import (
	"context"
	"sync"
	"time"

	"github.com/clusterset/multicluster/internal/follow"
)

const (
	// pagesAtOnce is how many pages this process reads at once, of all clusters together. When hundreds of them are listed after
	// a start, decoding takes all of its CPU: with more at once it would take more memory, and answers to probes would wait for
	// so long that clusters counted as out of reach. pageTurn is the longest that a page which doesn't come keeps another from its
	// turn, so that clusters which don't answer delay nobody (SPEC L5).
	pagesAtOnce = 32
	// PagesOfOne is how many of them are of one cluster, so that a few slow ones don't hold all.
	PagesOfOne = 4
	pageTurn   = 2 * time.Second
)

// turns has room for the pages that are read.
var turns = make(chan struct{}, pagesAtOnce)

// gate lets the pages of one cluster in, which has a share of the turns; nil for a share without bound.
type gate struct{ share chan struct{} }

// NewGate returns the gate of a cluster, whose share of the turns has room for [PagesOfOne].
func NewGate(share chan struct{}) follow.Gate { return gate{share} }

// Enter implements [follow.Gate].
func (g gate) Enter(ctx context.Context) (follow.Turn, error) { return takeTurn(ctx, g.share) }

// turn is the right to read a page. It is lost while the page does not come, after [pageTurn], and taken anew for decoding, so that
// no more pages than there are turns are decoded at once.
type turn struct {
	share chan struct{}

	mu       sync.Mutex
	held     bool
	decoding bool
	lapse    *time.Timer
}

// takeTurn waits until a page may be read. A cluster waits for a turn of its own share first.
func takeTurn(ctx context.Context, share chan struct{}) (*turn, error) {
	t := &turn{share: share}
	if err := t.take(ctx); err != nil {
		return nil, err
	}
	t.lapse = time.AfterFunc(pageTurn, func() { t.giveBack(false) })
	return t, nil
}

// take waits for room, and takes it. The turn is not held.
func (t *turn) take(ctx context.Context) error {
	if t.share != nil {
		select {
		case t.share <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		if t.share != nil {
			<-t.share
		}
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = true
	return nil
}

// Decode implements [follow.Turn]: from now on, nobody else decides how long the turn lasts.
func (t *turn) Decode(ctx context.Context) error {
	t.mu.Lock()
	held := t.held
	t.decoding = true
	t.mu.Unlock()
	if held {
		return nil
	}
	return t.take(ctx)
}

// Leave implements [follow.Turn].
func (t *turn) Leave() {
	t.lapse.Stop()
	t.giveBack(true)
}

// giveBack ends the turn; if it has not left, only while it waits for its page.
func (t *turn) giveBack(left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.held || t.decoding && !left {
		return
	}
	t.held = false
	<-turns
	if t.share != nil {
		<-t.share
	}
}
