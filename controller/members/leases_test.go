package members

import (
	"testing"
	"time"
)

// TestRenewalRate_L1: however many Leases there are, a controller renews ten a second at most, and each lasts as much longer.
func TestRenewalRate_L1(t *testing.T) {
	for leases, want := range map[int]time.Duration{
		0: 10 * time.Second, 1: 10 * time.Second, 100: 10 * time.Second, 200: 20 * time.Second, 200 * 200: 4000 * time.Second,
	} {
		if got := renewal(leases); got != want {
			t.Errorf("%d Leases are renewed every %v, want %v", leases, got, want)
		}
	}
}
