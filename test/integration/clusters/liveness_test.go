package clusters

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"
)

const (
	grace  = 8 * time.Second
	stable = 3 * time.Second
)

// lead runs the set as the leader's, with those periods.
func lead(t *testing.T, sources ...registration.Source) *running {
	t.Helper()
	return leadWith(t, members.Options{
		ClusterSet: "test", ProbeInterval: time.Second,
		Liveness: liveness.Periods{Grace: grace, Stable: stable},
	}, sources...)
}

func leadWith(t *testing.T, opts members.Options, sources ...registration.Source) *running {
	t.Helper()
	r := runWith(t, opts, sources...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- r.Lead(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// stalls begins to measure for how long this process waits for a processor that others keep busy. What must happen within some time
// may take that much longer.
func stalls(t *testing.T) (total func() time.Duration) {
	const tick = 10 * time.Millisecond
	var sum atomic.Int64
	ctx := t.Context()
	go func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for last := time.Now(); ctx.Err() == nil; {
			<-ticker.C
			now := time.Now()
			if late := now.Sub(last) - 2*tick; late > 0 {
				sum.Add(int64(late))
			}
			last = now
		}
	}()
	return func() time.Duration { return time.Duration(sum.Load()) }
}

// TestLiveness_L1_L2_L7 holds that a provider which is away for the grace period is given up, not long before that has passed and
// at most half of it later, and is trusted again; that Leases show who is connected; and that when most are away at once, it is
// we who are cut off.
func TestLiveness_L1_L2_L7(t *testing.T) {
	all := make([]*cluster, 3)
	for i, name := range []string{"a", "b", "c"} {
		all[i] = start(t, controlplane.Options{Name: name})
	}
	a, b, c := all[0], all[1], all[2]
	c.namespace("mcs-system")
	if _, err := c.kube.RbacV1().RoleBindings("mcs-system").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "leases"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "multicluster:leases"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "member"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	provider := func(c *cluster, id string) registration.Registration {
		reg := c.as(id)
		reg.Consumer = false
		return reg
	}
	s := newSource(provider(a, "a"), provider(b, "b"), c.as("c"))
	r := lead(t, s)
	r.synced(t, "c")
	ma, mb := r.member(t, "a"), r.member(t, "b")
	kit.True(t, "all are reachable", func() bool {
		return ma.ProviderSynced() && mb.ProviderSynced() && ma.Standing() == liveness.Reachable && mb.Standing() == liveness.Reachable
	})

	leases := func() []coordinationv1.Lease {
		list, err := c.kube.CoordinationV1().Leases("mcs-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	names := func() string {
		var list []string
		for _, l := range leases() {
			list = append(list, l.Name)
		}
		return strings.Join(list, " ")
	}
	kit.True(t, "a Lease for each provider", func() bool { return names() == "test.a test.b test.c" })

	if err := a.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	killed, stalled := time.Now(), stalls(t)
	kit.True(t, "a is lost, not withdrawn", func() bool { return ma.Standing() == liveness.Lost })
	kit.True(t, "a is withdrawn", func() bool { return ma.Standing() == liveness.Withdrawn })
	if took := time.Since(killed); took-stalled() > grace+grace/2 || took < grace/2 { // its last contact may be a slow answer before the kill
		t.Errorf("withdrawn after %v, grace period %v; for %v of it this process got no processor", took, grace, stalled())
	} else {
		t.Logf("withdrawn after %v, grace period %v", took, grace)
	}
	if mb.Standing() == liveness.Withdrawn || !r.has("synced a") {
		t.Error("others are touched, or nobody was told")
	}
	if !ma.ProviderSynced() {
		t.Error("what was known of a is forgotten")
	}
	leaseOf := func(id string) coordinationv1.LeaseSpec {
		list := leases()
		return list[slices.IndexFunc(list, func(l coordinationv1.Lease) bool { return l.Name == "test."+id })].Spec
	}
	renewed := func(id string) time.Time { return leaseOf(id).RenewTime.Time }
	dead, live := renewed("a"), renewed("b")
	kit.True(t, "a Lease is renewed", func() bool { return renewed("b").After(live) })
	if renewed("a") != dead {
		t.Error("so is that of a provider that can't be reached")
	}
	if err := a.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "a is back", func() bool { return ma.Standing() == liveness.Reachable })

	for _, c := range []*cluster{a, b} {
		if err := c.PauseAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	kit.True(t, "withdrawal is suspended", r.Suspended)
	paused := time.Now()
	kit.True(t, "the grace period is over", func() bool {
		if ma.Standing() == liveness.Withdrawn || mb.Standing() == liveness.Withdrawn {
			t.Fatal("withdrawn though we are cut off")
		}
		return time.Since(paused) > 2*grace
	})
	for _, c := range []*cluster{a, b} {
		if err := c.ResumeAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	kit.True(t, "withdrawal is not suspended any more", func() bool { return !r.Suspended() })

	s.set(provider(b, "b"), c.as("c"))
	kit.True(t, "the Lease of a member that left is gone (L3)", func() bool { return names() == "test.b test.c" })

	const kept = "no Leases are kept in the cluster"
	said := r.log.count(kept)
	appropriate := func() {
		t.Helper()
		if _, err := c.kube.CoordinationV1().Leases("mcs-system").Patch(t.Context(), "test.b", types.MergePatchType,
			[]byte(`{"metadata":{"labels":null},"spec":{"holderIdentity":"somebody"}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	appropriate()
	kit.True(t, "a Lease that is somebody else's now is told of", func() bool { return r.log.count(kept) > said })
	appropriate() // a renewal may have been under way
	last := leaseOf("c")
	kit.True(t, "others are renewed", func() bool { return renewed("c").After(last.RenewTime.Time) })
	if took, lasts := renewed("c").Sub(last.RenewTime.Time), time.Duration(*last.LeaseDurationSeconds)*time.Second; took > lasts/2 {
		t.Errorf("others were renewed only after %v, where a Lease lasts %v", took, lasts)
	}
	for _, l := range leases() {
		if l.Name == "test.b" && *l.Spec.HolderIdentity != "somebody" {
			t.Errorf("somebody's Lease was changed (X5): %+v", l.Spec)
		}
	}
}

// TestBlackHole_L2_L5 holds that a member whose packets vanish, with no connection closed, is given up as soon after the grace
// period, too: how often it is asked, and how long an answer may take (SPEC L11), follow from that period. It is trusted again no earlier
// than the stable period after its packets pass (L7). Another member is not touched.
func TestBlackHole_L2_L5(t *testing.T) {
	a, b := start(t, controlplane.Options{Name: "a"}), start(t, controlplane.Options{Name: "b"})
	way, err := link.New(a.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	reg := a.as("a")
	reg.Consumer, reg.Config.Host = false, way.URL()
	const ( // the grace period is shorter than a question would hang that did not ask how long it may
		grace, atMost = 3500 * time.Millisecond, 5 * time.Second
		stable        = 5 * time.Second
	)
	r := leadWith(t, members.Options{ClusterSet: "test", ProbeInterval: 500 * time.Millisecond,
		Liveness: liveness.Periods{Grace: grace, Stable: stable}}, newSource(reg, b.as("b")))
	r.synced(t, "b")
	ma := r.member(t, "a")
	kit.True(t, "a is reachable", func() bool { return ma.ProviderSynced() && ma.Standing() == liveness.Reachable })

	way.Set(link.Blackholed, 0)
	vanished, stalled := time.Now(), stalls(t)
	kit.True(t, "a is withdrawn", func() bool { return ma.Standing() == liveness.Withdrawn })
	took := time.Since(vanished)
	t.Logf("withdrawn after %v, grace period %v", took, grace)
	if took-stalled() > atMost {
		t.Errorf("withdrawn only after %v, want at most %v; for %v of it this process got no processor", took, atMost, stalled())
	}
	if r.member(t, "b").Standing() == liveness.Withdrawn { // a slow answer on a busy machine is not yet an unreachable member
		t.Error("b is withdrawn, too")
	}
	passing := time.Now()
	way.Set(link.Passing, 0)
	kit.True(t, "a is back", func() bool { return ma.Standing() == liveness.Reachable })
	if took := time.Since(passing); took < stable {
		t.Errorf("back after %v, stable period %v", took, stable)
	}
}
