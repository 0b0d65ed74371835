package chaos

import (
	"os"
	"testing"

	"github.com/clusterset/multicluster/test/need"
)

// TestChaos is a short run: SPEC L2, L4, L5, L7, L8 and E1 while things break. `make chaos` is a long one.
func TestChaos(t *testing.T) {
	need.Packets.OrSkip(t)
	report, err := Run(t.Context(), Options{Seed: 1, Faults: 12, Progress: func(step string) { t.Log(step) }, BuildLog: os.Stderr})
	t.Logf("\n%s", report)
	if err != nil {
		t.Fatal(err)
	}
}
