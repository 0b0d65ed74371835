package mcsapi

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// SPEC P2, X6: a list of clusters is read in time that grows with its length: an annotation of a hostile server holds a million.
func TestParseClusters_P2_X6(t *testing.T) {
	for text, want := range map[string][]string{"": {}, " , ,": {}, "c1": {"c1"}, " c2, c1 ,c2": {"c2", "c1"}} {
		if got := ParseClusters(text); got == nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	const many = 500_000
	var b strings.Builder
	for i := range many {
		b.WriteString(strconv.Itoa(i) + ",")
	}
	if n := len(ParseClusters(b.String())); n != many {
		t.Errorf("%d clusters, want %d", n, many)
	}
}
