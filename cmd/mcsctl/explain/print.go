package explain

import (
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

// Print shows a report to people: the chain, and the first thing that is wrong.
func Print(s *screen.Screen, r Report) {
	s.Line("%s", s.Bold(r.Domain))
	finding.Print(s, r.Steps, false)
	s.Line("")
	if r.Problem == nil {
		s.Line("%s %s", s.Mark(screen.Good), s.Paint(screen.Good, verdict(r)))
		return
	}
	where := r.Problem.Link
	if r.Problem.Cluster != "" {
		where = r.Problem.Cluster + ", " + where
	}
	s.Line("%s %s", s.Mark(screen.Bad), s.Paint(screen.Bad, where+": "+r.Problem.Found))
	if r.Problem.Do != "" {
		s.Line("  → %s", r.Problem.Do)
	}
}

// verdict is the last word where nothing is wrong: how far the look went.
func verdict(r Report) string {
	asked, unknown, odd := false, false, false
	for _, s := range r.Steps {
		asked = asked || s.Link == "dns" && s.Verdict == finding.OK
		unknown = unknown || s.Verdict == finding.Unknown
		odd = odd || s.Verdict == finding.Warning
	}
	switch {
	case odd:
		return "it works, but see the warnings"
	case asked:
		return "all is well: the name resolves to what it should"
	case unknown:
		return "nothing is wrong, as far as it could be looked at"
	}
	return "all is well"
}
