package members

import (
	"testing"
	"time"
)

// TestComesAndGoes_X6: what vanishes is gone at once; what comes back counts at once the first time, and then after twice as long
// each time, up to five minutes, until it stayed for that long.
func TestComesAndGoes_X6(t *testing.T) {
	const probe = 5 * time.Second
	flips := func(n int) string { return []string{"v1beta1", ""}[n%2] }
	for name, tc := range map[string]struct {
		is       func(n int) string // at the nth probe
		hours    int
		returns  int           // at most
		longest  time.Duration // that it is present and does not count
		countsIn string        // at the end
	}{
		"never goes":                     {func(int) string { return "v1beta1" }, 2, 1, 0, "v1beta1"},
		"at every other probe":           {flips, 2, 8 + 2*12, holdMost, ""},
		"in one version, then another":   {func(n int) string { return []string{"v1beta1", "v1alpha1"}[n%2] }, 2, 8 + 2*12, holdMost, ""},
		"is installed anew, once":        {func(n int) string { return map[bool]string{n != 7: "v1beta1"}[true] }, 2, 2, 0, "v1beta1"},
		"once an hour":                   {func(n int) string { return map[bool]string{n%720 != 7: "v1beta1"}[true] }, 4, 5, 0, "v1beta1"},
		"flips for an hour, then stays":  {func(n int) string { return flips(n * min(1, max(0, 720-n))) }, 3, 8 + 12, holdMost, "v1beta1"},
		"is another version from now on": {func(n int) string { return map[bool]string{n < 50: "v1alpha1", n >= 50: "v1beta1"}[true] }, 1, 2, 0, "v1beta1"},
	} {
		t.Run(name, func(t *testing.T) {
			var h holdOff
			returns, held, now, last := 0, time.Duration(0), time.Unix(1000, 0), ""
			for n := range tc.hours * 720 {
				is := tc.is(n)
				counts := h.observe(is, now)
				switch {
				case counts != "" && counts != is:
					t.Fatalf("probe %d: %q counts where %q is present", n, counts, is)
				case counts != "" && counts != last:
					returns++
					held = 0
				case is != "" && counts == "":
					if held += probe; held > tc.longest {
						t.Fatalf("probe %d: it is present and does not count for %v", n, held)
					}
					if h.problem(now) == nil {
						t.Fatalf("probe %d: nothing says why it does not count", n)
					}
				}
				if (counts != "") != h.present() || counts != "" && h.problem(now) != nil {
					t.Fatalf("probe %d: %q counts, present %v, %v", n, counts, h.present(), h.problem(now))
				}
				last, now = counts, now.Add(probe)
			}
			if returns > tc.returns || returns < min(2, tc.returns) {
				t.Errorf("it came back %d times, want at most %d", returns, tc.returns)
			}
			if tc.countsIn != "" && last != tc.countsIn {
				t.Errorf("%q counts in the end, want %q", last, tc.countsIn)
			}
		})
	}
}
