package multicluster

import (
	"strings"
	"testing"
)

// TestLowerName: an upper-case letter is seen wherever it is (SPEC D6), and nothing is copied where there is none.
func TestLowerName(t *testing.T) {
	const all = "@`[{^_-0189.az\\\x00\x7f\xc3\xff" + "abcdefghijklmnopqrstuvwxyz"
	for size := range len(all) {
		text := all[:size]
		if got := lowerName(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
		for at := range size {
			for _, c := range []string{"A", "M", "Z"} {
				mixed := "web" + strings.Repeat("-", at) + c + strings.Repeat("x", size-at)
				if got := lowerName(mixed); got != strings.ToLower(mixed) {
					t.Errorf("%q became %q", mixed, got)
				}
			}
		}
	}
}
