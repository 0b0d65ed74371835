package finding

import "github.com/clusterset/multicluster/cmd/mcsctl/screen"

// Verdict is what a link of the chain is worth.
type Verdict string

// The verdicts. Only Wrong makes the service not work.
const (
	OK      Verdict = "ok"
	None    Verdict = "none"    // nothing is there, and nothing needs to be
	Unknown Verdict = "unknown" // it could not be looked at
	Warning Verdict = "warning" // it works, but not as somebody meant it
	Wrong   Verdict = "wrong"
)

// Step is one link of the chain, looked at.
type Step struct {
	// Cluster is empty for what concerns all of them.
	Cluster string `json:"cluster,omitempty"`
	// Link names it: "export", "endpoints", "dns", ...
	Link    string  `json:"link"`
	Verdict Verdict `json:"verdict"`
	// Found is what there is, in one line.
	Found string `json:"found"`
	// Do is what to do about it, if anything.
	Do string `json:"do,omitempty"`
}

var tones = map[Verdict]screen.Tone{OK: screen.Good, None: screen.Quiet, Unknown: screen.Unsure, Warning: screen.Odd, Wrong: screen.Bad}

// Print shows steps, grouped by cluster; with advice for all that is wrong, or only for warnings.
func Print(s *screen.Screen, steps []Step, all bool) {
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
