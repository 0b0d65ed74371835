package plan

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// maxMessage bounds a condition's message, in bytes; API servers take 32 KiB, and people less.
const maxMessage = 8 << 10

// report is what the controller has to say under one type of condition; its order in a status is that of its first report.
type report struct {
	typ     string
	status  metav1.ConditionStatus
	reason  string
	message string
	tone    tone
}

// tone is how loud the Event is that goes with a change.
type tone int

const (
	quiet   tone = iota // normal, and none about the first time
	notice              // normal
	warning             // a warning
)

// conditions returns held with what reports say, at generation, and the Events that tell the difference. Conditions of
// other types stay as they are, but those of types in ours that nothing is reported of go. The time of a condition moves
// only with its status (SPEC E3).
func conditions(held []metav1.Condition, ours []string, reports []report, generation int64, now Now) ([]metav1.Condition, []Event) {
	out := make([]metav1.Condition, 0, len(held)+len(reports))
	var events []Event
	for _, c := range held {
		at := slices.IndexFunc(reports, func(r report) bool { return r.typ == c.Type })
		switch {
		case at >= 0:
			next, event := reports[at].over(c, generation, now)
			out, events = append(out, next), append(events, event...)
		case slices.Contains(ours, c.Type):
			events = append(events, Event{Reason: c.Type + resolved, Message: "no longer: " + c.Message})
		default:
			out = append(out, c)
		}
	}
	for i := range reports {
		r := &reports[i]
		if !slices.ContainsFunc(held, func(c metav1.Condition) bool { return c.Type == r.typ }) {
			next, event := r.over(metav1.Condition{}, generation, now)
			out, events = append(out, next), append(events, event...)
		}
	}
	return out, events
}

// over is the condition that follows held, which is zero for a new one, and the Event of the change, if it is one.
func (r *report) over(held metav1.Condition, generation int64, now Now) (metav1.Condition, []Event) {
	next := metav1.Condition{Type: r.typ, Status: r.status, Reason: r.reason, Message: excerpt.Of(r.message, maxMessage), ObservedGeneration: generation, LastTransitionTime: held.LastTransitionTime}
	if held.Status != next.Status || held.LastTransitionTime.IsZero() {
		next.LastTransitionTime = metav1.NewTime(now)
	}
	same := held.Status == next.Status && held.Reason == next.Reason && held.Message == next.Message
	if same || r.tone == quiet && held.Type == "" {
		return next, nil
	}
	event := Event{Warning: r.tone == warning, Reason: r.reason, Message: next.Message}
	if strings.Contains(event.Reason, ",") {
		event.Reason = r.typ // a list of reasons is no reason of an Event
	}
	return next, []Event{event}
}

// sameConditions compares what was held with what is to be. A generation that is not there was not kept by the CRD, which
// in v0.1.0 has no such field.
func sameConditions(held, next []metav1.Condition) bool {
	return slices.EqualFunc(held, next, func(a, b metav1.Condition) bool {
		if a.ObservedGeneration == 0 {
			b.ObservedGeneration = 0
		}
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
	})
}
