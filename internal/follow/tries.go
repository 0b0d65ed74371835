package follow

import (
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// triesInARow and triesEvery bound how often a server is asked, whatever it answers: a watch that opens proves nothing, nor does
// an event, since a server that is broken or hostile may send one, or an error, with every watch (SPEC X6). An outage, a restored server
// and a CRD that is installed late take a few tries.
//
// A try is a list, a watch, or the question whether the server knows the place together with the watch that goes on from there: so a
// proxy that cuts a stream every triesEvery, which costs two requests each time, leaves the follower its place.
const (
	triesInARow = 10
	triesEvery  = 15 * time.Second
)

// NewTries returns a bound of tries: so many in a row, and then one in so much time; 0 for the controller's 15 s. Followers of one
// kind that come one after the other share it: a server decides how often another version is followed.
func NewTries(every time.Duration) *rate.Limiter {
	return rate.NewLimiter(rate.Every(or(every, triesEvery)), triesInARow)
}

// Backoff gives growing waits with jitter. The zero value is for an API server of which nobody waits for seconds.
type Backoff struct {
	// First and Most are the shortest wait and the longest; 0 for half a second and 30 s.
	First, Most time.Duration

	wait time.Duration
}

// Next returns the wait before the next try: twice the last one, within limits, less up to half so that many who failed together
// don't try together.
func (b *Backoff) Next() time.Duration {
	b.wait = min(max(2*b.wait, or(b.First, 500*time.Millisecond)), or(b.Most, 30*time.Second))
	return b.wait - rand.N(b.wait/2)
}

// Reset makes the next wait the shortest again.
func (b *Backoff) Reset() { b.wait = 0 }
