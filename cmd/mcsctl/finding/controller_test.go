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
		leases              members.Leases
		want                string // the last step: "verdict: part of what was found → part of the advice"
	}{
		{name: "nothing needs one", want: "none: none runs, and none is needed → "},
		{name: "a member is registered, and nobody ever led", registered: 1,
			want: "wrong: no controller runs (no Lease of one is in namespace mcs-system), although members are registered; names and traffic stay as they are → kubectl apply -k deploy/overlays/both --context c1"},
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
			judged := Controller{Registered: c.registered, Imports: c.imports, Leases: c.leases, Namespace: "mcs-system", Flags: " --context c1", Now: now}
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
