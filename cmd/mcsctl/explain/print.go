package explain

import (
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

var tones = map[Verdict]screen.Tone{OK: screen.Good, None: screen.Quiet, Unknown: screen.Unsure, Warning: screen.Odd, Wrong: screen.Bad}

// Print shows a report to people: the chain, and the first thing that is wrong.
func Print(s *screen.Screen, r Report) {
	s.Line("%s", s.Bold(r.Domain))
	PrintSteps(s, r.Steps, false)
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
		asked = asked || s.Link == "dns" && s.Verdict == OK
		unknown = unknown || s.Verdict == Unknown
		odd = odd || s.Verdict == Warning
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

// PrintSteps shows steps, grouped by cluster; with advice for all that is wrong, or only for warnings.
func PrintSteps(s *screen.Screen, steps []Step, all bool) {
	last := "\x00"
	for _, step := range steps {
		if step.Cluster != last {
			last = step.Cluster
			title := last
			if title == "" {
				title = "clusterset"
			}
			s.Line("\n%s", s.Bold(title))
		}
		s.Line("  %s %-10s %s", s.Mark(tones[step.Verdict]), step.Link, step.Found)
		if step.Do != "" && (step.Verdict == Warning || all && step.Verdict != OK) {
			s.Line("    %-10s → %s", "", step.Do)
		}
	}
}
