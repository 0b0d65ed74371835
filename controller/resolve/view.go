package resolve

import (
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/controller/merge"
)

// Memory is what an import remembers of the exports of its name.
type Memory struct {
	// Text is how the import keeps it. Imports with the same text remember the same.
	Text    string
	Exports []merge.Export
}

// Key tells the views of a name apart: those with the same key have the same result.
type Key struct {
	closed, leftOut string // clusters
	memory          string // as an import keeps it
	ages            string // where memory has others
	verdict         bool   // with exports of unsynced clusters that any import remembers, see [Name.Verdict]
}

// View is what one importing cluster sees of a name.
type View struct {
	Key             Key
	seen            Name
	closed, leftOut []string
}

// Resolved is a view, merged. It is not changed once made.
type Resolved struct {
	// Name has what is seen. Of clusters that are not seen it is known that they take no part, so nothing waits for them.
	Name
	// Service is nil where no export is seen.
	Service *merge.Result
	// LeftOut are the clusters that export the name, or may, and that the import leaves out.
	LeftOut []string
	hidden  map[string]bool
}

// Sees reports whether exports of a cluster are seen.
func (r *Resolved) Sees(cluster string) bool { return !r.hidden[cluster] }

// For returns what a consumer sees: not the exports that name their consumers and not this one, and not those of clusters that are not in
// providers, unless that is nil (SPEC P2). Of unsynced clusters it sees what its own import remembers (SPEC L9): what others remember may
// be older, or forged, and is nobody's word but theirs (SPEC X4). Known are the clusters of which a controller before this one imported
// something into the consumer, so that an export of theirs which the import does not remember appeared since (SPEC M1).
func (n *Name) For(consumer string, providers []string, memory Memory, known map[string]bool) View {
	var v View
	v.seen, v.Key.ages = n.aged(memory.Exports, known)
	if lastKnown := of(memory.Exports, n.Unsynced); len(lastKnown) > 0 {
		v.Key.memory = memory.Text
		v.seen = v.seen.recalling(lastKnown)
	}
	v.closed, v.leftOut = v.seen.unseen(consumer, providers)
	v.Key.closed, v.Key.leftOut = strings.Join(v.closed, ","), strings.Join(v.leftOut, ",")
	return v
}

// Verdict returns all exports, with the ages and the last known exports that memory returns: verdicts on exports are made of it. Memory
// is asked only where something depends on it.
func (n *Name) Verdict(memory func(unsynced map[string]bool) []merge.Export) View {
	v := View{seen: *n}
	if len(n.Exports)+len(n.Unsynced) > 1 { // one export alone wins whatever its age
		kept := memory(n.Unsynced)
		v.seen, v.Key.ages = v.seen.aged(kept, nil)
		v.seen, v.Key.verdict = v.seen.recalling(of(kept, n.Unsynced)), len(n.Unsynced) > 0
	}
	return v
}

// Resolve merges what is seen.
func (v *View) Resolve(now time.Time) *Resolved {
	r := &Resolved{Name: v.seen, LeftOut: v.seen.mayExport(v.leftOut)}
	if len(v.closed)+len(v.leftOut) > 0 {
		r.hidden = make(map[string]bool, len(v.closed)+len(v.leftOut))
		for _, id := range slices.Concat(v.closed, v.leftOut) {
			r.hidden[id] = true
		}
		r.Name = v.seen.without(r.hidden, v.closed)
	}
	if len(r.Exports) > 0 {
		service := merge.Merge(r.Exports, now)
		r.Service = &service
	}
	return r
}
