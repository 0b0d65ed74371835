package merge

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// kubernetesBegan is before any ServiceExport can have been created; a timestamp before it is no age.
var kubernetesBegan = time.Date(2014, 6, 1, 0, 0, 0, 0, time.UTC)

// unseenAge is how much older than its first sight an export can be before its creationTimestamp is not believed. A cluster is
// read within seconds; clocks differ, and a controller or a network may be away for a while.
const unseenAge = 10 * time.Minute

// Age returns the time from which the export's age counts: its creationTimestamp, unless its cluster was known for longer
// and was first seen to export the name much later than that says. A cluster's word about its own age must not decide about
// others (SPEC M1).
func (e *Export) Age() time.Time {
	if !e.Since.IsZero() {
		return e.Since
	}
	return e.Created
}

// FirstSeen returns e as an export of a cluster that was already known when the export was first seen, at a time; zero says
// that it was not.
func (e Export) FirstSeen(at time.Time) Export {
	e.Since = time.Time{}
	if at = timestamp(at); !at.IsZero() && at.Sub(e.Created) > unseenAge { // to the second, as it is remembered
		e.Since = at
	}
	return e
}

// Recall returns e with the age that was found before, by what is remembered of the exports of its name. Where others are
// remembered but this export is not, it appeared since, if its cluster was known by then: known says so, and met is when
// this process first saw what the cluster exports. An export with another creationTimestamp is another export.
func (e Export) Recall(remembered []Export, met time.Time, known bool) Export {
	at := slices.IndexFunc(remembered, func(r Export) bool { return r.Cluster == e.Cluster })
	switch {
	case at >= 0 && remembered[at].Created.Equal(e.Created):
		e.Since = remembered[at].Since
	case len(remembered) > 0 && e.Since.IsZero() && (at >= 0 || known):
		e = e.FirstSeen(met)
	}
	return e
}

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
			a.Age().Compare(b.Age()),
			a.Created.Compare(b.Created),
			strings.Compare(a.Cluster, b.Cluster),
		)
	})
	return sorted
}
