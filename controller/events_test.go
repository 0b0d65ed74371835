package controller

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/lru"

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
	r := &recorder{events: got, rates: lru.New(eventObjects)}
	for i := range 1000 {
		r.record(&corev1.ObjectReference{Name: "loud", UID: "1"}, []plan.Event{{Reason: "Refused", Message: fmt.Sprint("address ", i)}})
	}
	r.record(&corev1.ObjectReference{Name: "other", UID: "2"}, []plan.Event{{Reason: "Refused", Message: "address"}})
	if got["loud"] != eventsInARow || got["other"] != 1 {
		t.Errorf("Events: %v, want %d and 1", got, eventsInARow)
	}
}
