package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// exporting is a ServiceExport on which verdicts are written, one after the other.
type exporting struct {
	t      *testing.T
	export *mcs.ServiceExport
	now    time.Time
	// old says that the CRD is that of v0.1.0, which keeps no observedGeneration.
	old bool
}

// judge writes v, an hour after the last, and returns the Events; it fails if a second look finds something to do.
func (e *exporting) judge(v Verdict) []Event {
	e.t.Helper()
	e.now = e.now.Add(time.Hour)
	a, ok := ExportStatus(e.export, v, e.now)
	if !ok {
		return nil
	}
	if a.Verb != PatchStatus || a.Reason == "" {
		e.t.Errorf("%s: %q", a.Verb, a.Reason)
	}
	e.export = mergeInto(e.t, e.export, a.Patch)
	if e.old {
		for i := range e.export.Status.Conditions {
			e.export.Status.Conditions[i].ObservedGeneration = 0
		}
	}
	if again, ok := ExportStatus(e.export, v, e.now.Add(time.Hour)); ok {
		e.t.Errorf("a second look writes %s", again.Patch)
	}
	return a.Events
}

func (e *exporting) condition(typ mcs.ServiceExportConditionType) metav1.Condition {
	for _, c := range e.export.Status.Conditions {
		if c.Type == string(typ) {
			return c
		}
	}
	return metav1.Condition{}
}

// says returns the conditions as "Valid=True/Valid Ready=...".
func (e *exporting) says() string {
	var out []string
	for _, c := range e.export.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(out, " ")
}

func export1() *mcs.ServiceExport {
	return &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Generation: 3, ResourceVersion: "7"}}
}

// SPEC E3: the verdict stands in three conditions; what changes moves its time and makes an Event, what does not, doesn't.
func TestVerdict_E3(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("v0.1.0=%v", old), func(t *testing.T) {
			e := &exporting{t: t, export: export1(), now: noon, old: old}
			foreign := metav1.Condition{Type: "Theirs", Status: "True", Reason: "R", LastTransitionTime: metav1.NewTime(noon)}
			e.export.Status.Conditions = []metav1.Condition{foreign}

			_, noService := merge.Of("east", e.export, nil, nil)
			e.judge(Verdict{Invalid: noService})
			e.expect("Theirs=True/R Valid=False/NoService Ready=False/Pending Conflict=False/NoConflicts")

			events := e.judge(Verdict{})
			e.expect("Theirs=True/R Valid=True/Valid Ready=True/Exported Conflict=False/NoConflicts")
			if len(events) != 2 || events[0].Reason != "Valid" || events[1].Reason != "Exported" {
				t.Errorf("events %+v", events)
			}
			exported := e.condition(mcs.ServiceExportConditionReady).LastTransitionTime

			conflicts := []merge.Conflict{{Reason: mcs.ServiceExportReasonPortConflict, Message: "port http: ..."}, {Reason: mcs.ServiceExportReasonTypeConflict, Message: "type: ..."}}
			events = e.judge(Verdict{Conflicts: conflicts})
			e.expect("Theirs=True/R Valid=True/Valid Ready=True/Exported Conflict=True/PortConflict,TypeConflict")
			if len(events) != 1 || !events[0].Warning || events[0].Reason != "Conflict" || events[0].Message != "port http: ...; type: ..." {
				t.Errorf("events %+v", events)
			}
			if got := e.condition(mcs.ServiceExportConditionReady).LastTransitionTime; !got.Equal(&exported) {
				t.Errorf("lastTransitionTime of Ready moved to %s with Conflict", got)
			}
			conflicted := e.condition(mcs.ServiceExportConditionConflict).LastTransitionTime
			e.judge(Verdict{Conflicts: conflicts[:1]})
			if got := e.condition(mcs.ServiceExportConditionConflict).LastTransitionTime; !got.Equal(&conflicted) {
				t.Errorf("lastTransitionTime of Conflict moved to %s though it stays true", got)
			}
			e.judge(Verdict{Failed: "no importing cluster can be written"})
			e.expect("Theirs=True/R Valid=True/Valid Ready=False/Failed Conflict=False/NoConflicts")
			e.judge(Verdict{Pending: "waiting"})
			e.expect("Theirs=True/R Valid=True/Valid Ready=False/Pending Conflict=False/NoConflicts")
		})
	}
}

func (e *exporting) expect(want string) {
	e.t.Helper()
	if got := e.says(); got != want {
		e.t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, c := range e.export.Status.Conditions {
		if c.Type != "Theirs" && !e.old && c.ObservedGeneration != e.export.Generation {
			e.t.Errorf("%s observed generation %d of %d", c.Type, c.ObservedGeneration, e.export.Generation)
		}
	}
}

// SPEC E3: a new generation is observed, without an Event and without a new time.
func TestObservedGeneration_E3(t *testing.T) {
	e := &exporting{t: t, export: export1(), now: noon}
	e.judge(Verdict{})
	before := e.condition(mcs.ServiceExportConditionValid)
	e.export.Generation++
	if events := e.judge(Verdict{}); len(events) > 0 {
		t.Errorf("events %+v", events)
	}
	after := e.condition(mcs.ServiceExportConditionValid)
	if after.ObservedGeneration != 4 || !after.LastTransitionTime.Equal(&before.LastTransitionTime) {
		t.Errorf("%+v became %+v", before, after)
	}
}

// SPEC E4: refused keys are named, until there are none.
func TestRefusedKeys_E4(t *testing.T) {
	e := &exporting{t: t, export: export1(), now: noon}
	e.export.Spec.ExportedLabels = map[string]string{"app.kubernetes.io/name": "web"}
	events := e.judge(Verdict{Refused: merge.RefusedKeys(e.export, nil)})
	c := e.condition(ConditionRefused)
	if c.Message != "not exported: label app.kubernetes.io/name (reserved domain)" || c.Reason != "KeysRefused" {
		t.Errorf("%+v", c)
	}
	if last := events[len(events)-1]; last.Message != c.Message || !last.Warning {
		t.Errorf("events %+v", events)
	}
	e.judge(Verdict{})
	e.expect("Valid=True/Valid Ready=True/Exported Conflict=False/NoConflicts")
}

// SPEC E3, X2: a message that no API server would take is cut.
func TestLongMessage_E3(t *testing.T) {
	e := &exporting{t: t, export: export1(), now: noon}
	e.judge(Verdict{Failed: strings.Repeat("é", 40000)})
	if n := len(e.condition(mcs.ServiceExportConditionReady).Message); n > maxMessage || n < maxMessage-10 {
		t.Errorf("message of %d bytes", n)
	}
	if _, err := json.Marshal(e.export); err != nil {
		t.Error(err)
	}
}

// SPEC M4: the conflict stands on every constituent export, with the same words.
func TestConflictOnEveryExport_M4(t *testing.T) {
	east, west := provider("east", 2*time.Hour), provider("west", time.Hour)
	west.service.Ports[0].Port = 8080
	result := wanted(t, east, west).Service
	for range result.Clusters {
		e := &exporting{t: t, export: export1(), now: noon}
		e.judge(Verdict{Conflicts: result.Conflicts})
		c := e.condition(mcs.ServiceExportConditionConflict)
		if c.Reason != "PortConflict" || c.Message != "port http: 80/TCP from east (oldest export) wins over 8080/TCP of west; 1/2 clusters disagree" {
			t.Errorf("%+v", c)
		}
	}
}
