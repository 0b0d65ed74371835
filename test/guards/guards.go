package main

// guard is a piece of code that keeps one line of the specification, and the test that must fail without it.
type guard struct {
	spec string // its line
	what string
	file string // below the module's root
	code string // occurs once in the file
	// without is what stands there when the guard is gone.
	without   string
	pkg, test string
}

const (
	unitClusters = "controller/clusters"
	unitPlan     = "controller/plan"
	unitEngine   = "controller"
	realClusters = "test/integration/clusters"
	realFleet    = "test/integration/fleet"
	realProgram  = "test/integration/program"
)

var guards = []guard{
	{"L1", "Leases are renewed only while the provider is reached", "controller/clusters/leases.go",
		"if m.sighting().ok {", "if true {", realClusters, "TestLiveness_L1_L2_L7"},
	{"L1", "the rate of renewals is bounded", "controller/clusters/leases.go",
		"return max(leaseRenewal, time.Duration(n)*time.Second/leaseRate)", "return leaseRenewal", unitClusters, "TestRenewalRate_L1"},
	{"L2", "a provider is withdrawn after the grace period", "controller/clusters/judge.go",
		"j.ran-c.contact >= j.rules.Grace", "false", unitClusters, "TestJudge"},
	{"L2", "not before", "controller/clusters/judge.go",
		"j.ran-c.contact >= j.rules.Grace", "true", unitClusters, "TestJudge"},
	{"L2", "who is cut off withdraws nothing", "controller/clusters/judge.go",
		"return together >= 2 && together > there", "return together >= 2 && together > there && false", realFleet, "TestCutOff_L2"},
	{"L2", "the last endpoints stay", "controller/clusters/judge.go",
		"p == WithdrawUnlessLast && othersReady", "p == WithdrawUnlessLast", unitEngine, "TestLastIsJudgedByWhatIsSeen_P2_L2"},
	{"L2", "time asleep does not count", "controller/clusters/judge.go",
		"max(0, min(now.Sub(j.last), longestStep))", "max(0, now.Sub(j.last))", unitClusters, "TestJudge"},
	{"L2", "grace counts from the last contact", "controller/clusters/judge.go",
		"at := ran - max(0, now.Sub(s.at))", "at := ran", unitClusters, "TestJudgeCountsFromContact_L2"},
	{"L2", "a probe that hangs ends within the grace period", "controller/clusters/clusters.go",
		"max(shortestPatience, min(longestPatience, grace/4))", "longestPatience", realClusters, "TestBlackHole_L2_L5"},
	{"L2", "the last endpoints that can be used stay", "controller/plan/last.go",
		"if source.Withdrawn && last(source.Cluster) {", "if false && last(source.Cluster) {", unitPlan, "TestLastThatCanBeUsed_L2"},
	{"L3", "what a member that left exported goes", "controller/controller.go",
		"\tif l != nil {\n\t\tl.stop()\n\t}\n\tc.all(everything)", "\tif l != nil {\n\t\tl.stop()\n\t}", realFleet, "TestMemberLeaves_L3"},
	{"L3", "the Lease of a member that left goes", "controller/clusters/leases.go",
		"if present[id] {", "if true {", realClusters, "TestLiveness_L1_L2_L7"},
	{"L4", "the lead ends before the Lease is given up", "cmd/mcs-controller/lead.go",
		"RetryPeriod: retryPeriod,", "RetryPeriod: retryPeriod, ReleaseOnCancel: true,", "cmd/mcs-controller", "TestLeadEndsInTime_L4"},
	{"L4", "a replica that does not lead does not work", "cmd/mcs-controller/lead.go",
		"if !*o.leaderElect {", "if true {", realProgram, "TestReplicas_L4"},
	{"L5", "each member has a queue and workers of its own", "controller/lane.go",
		"func (l *lane) one(ctx context.Context, key types.NamespacedName) {\n",
		"var oneByOne sync.Mutex\n\nfunc (l *lane) one(ctx context.Context, key types.NamespacedName) {\n\toneByOne.Lock()\n\tdefer oneByOne.Unlock()\n",
		realFleet, "TestSlowMember_L5"},
	{"L6", "people's imports that a list lacks are not believed gone", "controller/clusters/connection.go",
		"s.doubt.of, s.doubt.hold = always[*mcs.ServiceImport], c.member.opts.doubtAbsence()", "", realClusters, "TestRestoredEmpty_L6"},
	{"L6", "an empty directory in another's place says nothing", "controller/clusters/directory.go",
		"if len(regs) == 0 && was != nil", "if false && was != nil", unitClusters, "TestDirectoryMissing_L6"},
	{"L6", "a list that lost most objects is not believed", "controller/clusters/doubt.go",
		"tooMany := 2*len(missing) > all", "tooMany := false && all > 0", realClusters, "TestRestoredEmpty_L6"},
	{"L6", "what came back during an outage is seen before it is believed gone", "controller/clusters/doubt.go",
		"s.doubt.looked.IsZero() ||", "true ||", unitClusters, "TestDoubt_L6"},
	{"L6", "the deletions that come with a CRD's are not believed", "controller/clusters/connection.go",
		"s.doubt.of, s.doubt.removals, s.doubt.hold = always[*mcs.ServiceExport], true,", "s.doubt.of, s.doubt.removals, s.doubt.hold = always[*mcs.ServiceExport], false,", realClusters, "TestRemovedCRDs_L6"},
	{"L6", "what is not synced is not absent", "controller/gather.go",
		"if !m.ProviderSynced() || export != nil && !m.Knows(key) {", "if false {", realFleet, "TestAbsentProvider_L3_L9"},
	{"L7", "endpoints return after the stable period", "controller/clusters/judge.go",
		"case c.standing == Withdrawn && !back:", "case false:", unitClusters, "TestJudge"},
	{"L8", "other credentials sync before they replace the old", "controller/clusters/life.go",
		"c == m.candidate && err == nil && c.atLeast(old)", "c == m.candidate && err == nil", realClusters, "TestRotation_L8"},
	{"L9", "the export of a cluster that is away counts", "controller/recall.go",
		"f.exports = append(f.exports, exports[i].Trust(f.trusted[exports[i].Cluster]))", "", realFleet, "TestAbsentProvider_L3_L9"},
	{"M1", "a known member's word about its age is not believed", "controller/merge/precedence.go",
		"at.Sub(e.Created) > unseenAge", "at.IsZero()", realFleet, "TestLyingAge_M1"},
	{"M1", "what appeared while no controller ran is new", "controller/recall.go",
		"served && met.known", "false && met.known", unitEngine, "TestAges_M1"},
	{"X1", "kubeconfigs from outside name no files", "controller/clusters/kubeconfig.go",
		"case a.TokenFile != \"\":", "case false:", unitClusters, "TestKubeconfigFromOutside_X1"},
	{"X1", "metrics are on loopback unless an address is given", "cmd/mcs-controller/options.go",
		"byDefault(&o.metricsAddr, \"127.0.0.1:8080\")", "byDefault(&o.metricsAddr, \":8080\")", "cmd/mcs-controller", "TestAddresses_X1"},
	{"X2", "special-purpose addresses are refused", "controller/plan/refused.go",
		"case purpose != \"\":", "case false:", unitPlan, "TestRefusedAddresses_X2"},
	{"X2", "no IPv6 address hides an IPv4 address", "controller/plan/special.go",
		"if isatap(addr) {", "if false && isatap(addr) {", unitPlan, "TestSpecialPurpose_X2"},
	{"X2", "addresses of Services here are refused", "controller/plan/refused.go",
		"case slices.ContainsFunc(p.ServiceRanges, within):", "case false:", realFleet, "TestHostileMember_X2_X3_X4_X5"},
	{"X2", "addresses of nodes here are refused", "controller/plan/refused.go",
		"case source.Cluster != p.Cluster && p.NodeAddresses[addr]:", "case false:", realFleet, "TestHostileMember_X2_X3_X4_X5"},
	{"X2", "declared ranges bind", "controller/plan/refused.go",
		"case len(source.CIDRs) > 0 && !slices.ContainsFunc(source.CIDRs, within):", "case false:", realFleet, "TestRanges_X2"},
	{"X2", "a port that there is not breaks no rules of kube-proxy", "controller/accept/accept.go",
		"return n >= 1 && n <= 65535", "return n >= 1", realFleet, "TestKubeProxy_X2"},
	{"X2", "a slice that etcd refuses is left out", "controller/accept/accept.go",
		"return s.Size() > MaxSliceBytes", "return false", unitPlan, "TestHostileRows_X2"},
	{"X2", "no port's name is too long for kube-proxy", "controller/accept/accept.go",
		"<= maxComment {", "<= maxComment || true {", unitPlan, "TestHostileRows_X2"},
	{"X2", "a zone is a label's value", "controller/accept/slice.go",
		"j.zones.accepts(*from.Zone, isLabelValue)", "true", unitPlan, "TestHostileRows_X2"},
	{"X3", "a member exports only from where it may", "controller/clusters/limits.go",
		"return l.Exports == nil || l.Exports.match(namespace)", "return true", realFleet, "TestNamespaceLimits_X3"},
	{"X3", "kube-* namespaces must be meant", "controller/clusters/limits.go",
		"meant := !strings.HasPrefix(namespace, systemPrefix) ||", "meant := true ||", unitClusters, "TestNamespaces_X3"},
	// The selector of the watch keeps them out, too; it saves work, and the plan does not rely on it.
	{"X4", "imports of another clusterset remember nothing for this one", "controller/recall.go",
		" || plan.OtherSet(i, clusterset) != \"\"", "", unitEngine, "TestMemoryIsOnesOwn_L9_X4"},
	{"X4", "imported slices are not exported again", "controller/plan/slices.go",
		"imported || !slices.Contains(p.shape.families", "imported && false || !slices.Contains(p.shape.families", unitPlan, "TestImportedSlicesAreIgnored_X4"},
	{"X4", "one cluster is one member", "controller/clusters/identity.go",
		"if holder != nil && holder != m && (holder.order < m.order || m.conn.Load() != nil) {", "if false {", realClusters, "TestIdentity_X4"},
	{"X4", "a member takes no other's cluster", "controller/clusters/identity.go",
		"(holder.order < m.order || m.conn.Load() != nil)", "(holder.order < m.order)", realClusters, "TestWrongCredentials_X4"},
	{"X5", "exported keys of other controllers need a registration that allows them", "controller/merge/export.go",
		"cmp.Or(check(key, value), trusted.refuse(key))", "cmp.Or(check(key, value))", realFleet, "TestExportedKeys_X5"},
	{"X5", "another clusterset's import is left alone", "controller/plan/ownership.go",
		"if set != \"\" && set != clusterset {", "if false {", unitPlan, "TestTwoClusterSets_X5"},
}
