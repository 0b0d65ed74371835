package finding

import (
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
)

// TestControllerRuns_X8: whether a controller runs is told by the Leases that one keeps, whether or not it has a Deployment here.
func TestControllerRuns_X8(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := func(name, holder string, age, lasts time.Duration) *members.Lease {
		return &members.Lease{Name: "mcs-system/" + name, Holder: holder, Renewed: now.Add(-age), Lasts: lasts}
	}
	leader := func(age time.Duration) *members.Lease {
		return lease("mcs-controller-default", "x", age, 12*time.Second)
	}
	kept := func(age time.Duration) *members.Lease { return lease("default.c1", "c1", age, 40*time.Second) }
	for _, c := range []struct {
		name                string
		deployed            bool
		registered, imports int
		fleet, unread       bool
		leases              members.Leases
		want                string // the last step: "verdict: part of what was found → part of the advice"
	}{
		{name: "nothing needs one", want: "none: none runs, and none is needed → "},
		{name: "a member is registered, and nobody ever led", registered: 1,
			want: "wrong: no controller runs (no Lease of one is in namespace mcs-system), although members are registered; names and traffic stay as they are → install one with this cluster's own id (docs/install.md); if"},
		{name: "a hub's member is registered, and nobody ever led", registered: 1, fleet: true, want: "wrong: although members are registered → install it: kubectl apply -k deploy/fleet --context c1; if"},
		{name: "registrations were not read", unread: true, want: "unknown: whether one is needed is not known: the registrations were not read → use credentials"},
		{name: "registrations were not read, but there are imports", unread: true, imports: 1, want: "wrong: although ServiceImports exist → install"},
		{name: "there are imports, and nobody ever led", imports: 2, want: "wrong: although ServiceImports exist → if one runs elsewhere, use the --context of its cluster"},
		{name: "the leader died", registered: 1, leases: members.Leases{Leader: leader(3 * time.Minute)},
			want: "wrong: no controller has run since 2026-01-02T03:01:05Z (3m ago, by Lease mcs-system/mcs-controller-default) → if it runs outside of this cluster, start it there"},
		{name: "the leader gave up the lead", registered: 1, leases: members.Leases{Leader: lease("mcs-controller-default", "", 2*time.Hour, time.Second)},
			want: "wrong: has run since 2026-01-02T01:04:05Z (2h ago → "},
		{name: "one outside of the cluster leads", registered: 1, leases: members.Leases{Leader: leader(time.Second)}, want: "ok: x leads → "},
		{name: "a hub's renews the Leases here", imports: 2, leases: members.Leases{Kept: kept(30 * time.Second)}, want: "ok: a controller that runs elsewhere renewed its Leases in namespace mcs-system 30s ago → "},
		{name: "a hub's renews no longer", imports: 2, leases: members.Leases{Kept: kept(41 * time.Second)}, want: "wrong: since 2026-01-02T03:03:24Z (41s ago, by Lease mcs-system/default.c1) → "},
		{name: "a hub's took over from one here", imports: 2, leases: members.Leases{Leader: leader(time.Hour), Kept: kept(time.Second)}, want: "ok: runs elsewhere → "},
		{name: "what the dead one kept is still good", registered: 1, leases: members.Leases{Leader: leader(14 * time.Second), Kept: kept(15 * time.Second)}, want: "wrong: 14s ago → "},
		{name: "a Deployment, and nobody leads", deployed: true, leases: members.Leases{Kept: kept(time.Second)}, want: "wrong: no replica of the controller has led since → kubectl logs -n mcs-system deployment/mcs-controller --context c1"},
		{name: "Leases are hidden", registered: 1, leases: members.Leases{Hidden: true}, want: "unknown: whether a controller runs is not known → "},
	} {
		t.Run(c.name, func(t *testing.T) {
			judged := Controller{Registered: c.registered, Unread: c.unread, Fleet: c.fleet, Imports: map[string]int{"c1": c.imports}, Leases: []members.Leases{c.leases}, Namespace: "mcs-system", Flags: " --context c1", Now: now}
			if c.deployed {
				judged.Deployed = &members.Controller{Ready: 1, Replicas: 1}
			}
			steps := judged.Runs()
			last := steps[len(steps)-1]
			verdict, rest, _ := strings.Cut(c.want, ": ")
			found, do, _ := strings.Cut(rest, " → ")
			if string(last.Verdict) != verdict || !strings.Contains(last.Found, found) || !strings.Contains(last.Do, do) || do == "" && verdict == "ok" && last.Do != "" {
				t.Errorf("got %+v, want %s", last, c.want)
			}
		})
	}
}

// TestControllerScaledToZero: what follows from a Deployment without pods is no second problem.
func TestControllerScaledToZero(t *testing.T) {
	c := Controller{Deployed: &members.Controller{}, Leases: make([]members.Leases, 1), Registered: 1, Namespace: "mcs-system", Flags: " --context c1"}
	steps := c.Runs()
	if want := "kubectl scale -n mcs-system deployment/mcs-controller --replicas 2 --context c1"; len(steps) != 1 || steps[0].Verdict != Wrong || steps[0].Do != want {
		t.Errorf("got %+v, want only %s", steps, want)
	}
}

// TestControllerPerCluster_X8: where no cluster is the home, each importing cluster is judged by the Leases in it: a controller that runs
// for one does not hide that another's is dead.
func TestControllerPerCluster_X8(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	led := func(age time.Duration) *members.Lease {
		return &members.Lease{Name: "mcs-system/mcs-controller-default", Holder: "x", Renewed: now.Add(-age), Lasts: 12 * time.Second}
	}
	c := Controller{Namespace: "mcs-system", Flags: " --context CONTEXT", Now: now, Imports: map[string]int{"c1": 1, "c2": 1, "c3": 0, "c4": 1}, Leases: []members.Leases{
		{In: "c1", Flags: " --context c1", Leader: led(time.Hour)}, {In: "c2", Leader: led(time.Second)}, {In: "c3"}, {In: "c4", Hidden: true},
	}}
	var got []string
	for _, s := range c.Runs() {
		got = append(got, s.Cluster+" "+string(s.Verdict))
	}
	if want := "c1 wrong, c2 ok, c3 none, c4 unknown"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if s := c.Runs()[0]; !strings.Contains(s.Found, "no controller has run for c1 since 2026-01-02T02:04:05Z") || !strings.HasSuffix(s.Do, "kubectl get leases -n mcs-system --context c1") {
		t.Errorf("%+v", s)
	}
}
