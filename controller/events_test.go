package controller

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/plan"
)

// recorded counts Events by the name of what they are about.
type recorded map[string]int

func (r recorded) Eventf(about, _ runtime.Object, _, _, _, _ string, _ ...any) {
	r[about.(*corev1.ObjectReference).Name]++
}

// TestEventsAreBounded_X6: whatever members have an import say, its Events in a row are few, and take nothing from others.
func TestEventsAreBounded_X6(t *testing.T) {
	got := recorded{}
	r := recorderTo(got, slog.New(slog.DiscardHandler))
	for i := range 1000 {
		r.record(&corev1.ObjectReference{Name: "loud", UID: "1"}, []plan.Event{{Reason: "Refused", Message: fmt.Sprint("address ", i)}})
	}
	r.record(&corev1.ObjectReference{Name: "other", UID: "2"}, []plan.Event{{Reason: "Refused", Message: "address"}})
	if got["loud"] != eventsInARow || got["other"] != 1 {
		t.Errorf("Events: %v, want %d and 1", got, eventsInARow)
	}
}

// TestEventsOfAClusterAreBounded_X6: however many names a member has, an importing cluster gets so many Events in a row, and then one
// in so much time; one loud import takes little of that, and that some are left out is logged, not for each.
func TestEventsOfAClusterAreBounded_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, said := recorded{}, &lines{}
		r := recorderTo(got, slog.New(slog.NewTextHandler(said, nil)))
		record := func(name string, n int) {
			for i := range n {
				r.record(&corev1.ObjectReference{Name: name, UID: types.UID(name)}, []plan.Event{{Reason: "Refused", Message: fmt.Sprint("address ", i)}})
			}
		}
		total := func() (n int) {
			for _, of := range got {
				n += of
			}
			return n
		}
		record("loud", 100*clusterEventsInARow)
		record("honest", 1)
		if got["honest"] != 1 {
			t.Error("one loud import takes all Events of the cluster")
		}
		for i := range eventObjects {
			record(fmt.Sprint("name-", i), eventsInARow)
		}
		if n := total(); n != clusterEventsInARow {
			t.Errorf("%d Events in a row, want %d", n, clusterEventsInARow)
		}
		if n := said.count("some are left out"); n != 1 {
			t.Errorf("it was logged %d times, want once", n)
		}
		time.Sleep(10 * clusterEventEvery) // of the fake clock
		for i := range eventObjects {
			record(fmt.Sprint("later-", i), 1)
		}
		if n := total(); n != clusterEventsInARow+10 {
			t.Errorf("%d Events after ten times %s, want %d", n, clusterEventEvery, clusterEventsInARow+10)
		}
	})
}

// TestAnnouncementsAreNotLost_M1_X6: what no condition has is recorded however many other Events members cause, of the same import and
// of all; such Events are as few themselves.
func TestAnnouncementsAreNotLost_M1_X6(t *testing.T) {
	got := recorded{}
	r := recorderTo(got, slog.New(slog.DiscardHandler))
	record := func(name string, e plan.Event) {
		r.record(&corev1.ObjectReference{Name: name + "/" + e.Reason, UID: types.UID(name)}, []plan.Event{e})
	}
	for i := range eventObjects {
		for range eventsInARow {
			record(fmt.Sprint("name-", i), plan.Event{Reason: "Refused", Message: fmt.Sprint("address ", i)})
		}
	}
	announced := plan.Event{Announces: true, Reason: plan.PrecedenceChanged, Message: "the export of west is older"}
	record("name-0", announced)
	record("other", announced)
	if got["name-0/PrecedenceChanged"] != 1 || got["other/PrecedenceChanged"] != 1 {
		t.Errorf("announced %d and %d times, want once each", got["name-0/PrecedenceChanged"], got["other/PrecedenceChanged"])
	}
	total := 0
	for i := range eventObjects {
		for range eventsInARow + 1 {
			record(fmt.Sprint("name-", i), announced)
		}
		of := got[fmt.Sprint("name-", i, "/PrecedenceChanged")]
		if of > eventsInARow {
			t.Errorf("name %d: announced %d times", i, of)
		}
		total += of
	}
	if total > clusterEventsInARow+2 {
		t.Errorf("announced %d times in all", total)
	}
}
