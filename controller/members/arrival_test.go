package members

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/mirror"
)

// SPEC M1: what was there when a member was first synced has no other age than it says; what comes later, or says another age
// later, was first seen then.
func TestArrivals_M1(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	export := func(name string, created time.Time) *mcs.ServiceExport {
		return &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, CreationTimestamp: metav1.NewTime(created)}}
	}
	old, ancient := start.AddDate(-1, 0, 0), start.AddDate(-9, 0, 0)
	var a arrivals
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	wants := func(what string, e *mcs.ServiceExport, now, want time.Time) {
		t.Helper()
		if got := a.since(e, now); !got.Equal(want) {
			t.Errorf("%s: since %s, want %s", what, got, want)
		}
	}
	wants("before the member is synced", export("first", old), minute(0), time.Time{})
	meet := func(now time.Time, list ...*mcs.ServiceExport) {
		a.meet(now, func(f func(types.NamespacedName, *mcs.ServiceExport)) {
			for _, e := range list {
				f(mirror.KeyOf(e), e)
			}
		})
	}
	meet(minute(1), export("first", old))
	wants("there at first", export("first", old), minute(2), time.Time{})
	wants("comes later", export("late", ancient), minute(3), minute(3))
	wants("is looked at again", export("late", ancient), minute(4), minute(3))
	meet(minute(5), export("late", ancient), export("later", ancient))
	wants("the member is synced again", export("later", ancient), minute(6), minute(6))
	wants("says another age", export("first", ancient), minute(7), minute(7))
	a.forget(types.NamespacedName{Namespace: "n", Name: "late"})
	wants("was gone", export("late", ancient), minute(8), minute(8))
	if len(a.seen) != 3 {
		t.Errorf("%d exports are noted", len(a.seen))
	}
}

// SPEC M1: a registration that is older than this process was known to a process before it.
func TestMet_M1(t *testing.T) {
	now := time.Now()
	for registered, want := range map[time.Time]bool{{}: false, now: false, now.Add(-time.Minute): false, now.Add(-time.Hour): true} {
		m := &Member{joined: now}
		m.reg.Registered = registered
		m.arrivals.meet(now, func(func(types.NamespacedName, *mcs.ServiceExport)) {})
		if at, known := m.Met(); known != want || !at.Equal(now) {
			t.Errorf("registered %s: met %s, known %v", registered, at, known)
		}
	}
}
