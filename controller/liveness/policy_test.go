package liveness

import (
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	for name, want := range map[string][2]bool{"keep": {false, false}, "withdraw": {true, true}, "withdraw-unless-last": {false, true}} {
		p, err := ParsePolicy(name)
		if err != nil {
			t.Error(err)
		}
		if got := [2]bool{p.Withdraws(false), p.Withdraws(true)}; got != want {
			t.Errorf("%s: alone %v, with others %v; want %v", name, got[0], got[1], want)
		}
	}
	if _, err := ParsePolicy("maybe"); err == nil || !strings.Contains(err.Error(), "want keep, withdraw or withdraw-unless-last") {
		t.Errorf("got %v", err)
	}
}
