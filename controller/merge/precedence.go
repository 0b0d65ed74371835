package merge

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// kubernetesBegan is before any ServiceExport can have been created; a timestamp before it is no age.
var kubernetesBegan = time.Date(2014, 6, 1, 0, 0, 0, 0, time.UTC)

// byPrecedence returns exports sorted so that the winner of a conflict comes first: the oldest, then the smaller cluster
// id (KEP-1645 "Constraints and Conflict Resolution", SPEC M1). A timestamp in the future counts as newest, and one that
// cannot be as newer still, so that no cluster takes precedence by naming an impossible age.
//
// The order of two exports is the same before and after the moment that a timestamp lies in.
func byPrecedence(exports []Export, now time.Time) []Export {
	rank := func(e *Export) int {
		switch {
		case e.Created.Before(kubernetesBegan):
			return 2
		case e.Created.After(now):
			return 1
		}
		return 0
	}
	sorted := slices.Clone(exports)
	slices.SortStableFunc(sorted, func(a, b Export) int {
		return cmp.Or(
			cmp.Compare(rank(&a), rank(&b)),
			a.Created.Compare(b.Created),
			strings.Compare(a.Cluster, b.Cluster),
		)
	})
	return sorted
}
