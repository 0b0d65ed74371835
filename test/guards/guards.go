package main

// guard is a piece of code that keeps one line of the specification, and the test that must fail without it.
type guard struct {
	spec string // its line
	what string
	at   place // where it stands
	// without takes it out.
	without   mutation
	pkg, test string
}

const (
	unitLiveness     = "controller/liveness"
	unitFollow       = "internal/follow"
	unitMembers      = "controller/members"
	unitMirror       = "controller/mirror"
	unitKeep         = "controller/keep"
	unitRegistration = "controller/registration"
	unitPlan         = "controller/plan"
	unitResolve      = "controller/resolve"
	unitEngine       = "controller"
	unitProgram      = "cmd/mcs-controller"
	unitExporting    = "controller/exporting"
	unitPlugin       = "plugin"
	realClusters     = "test/integration/clusters"
	realFleet        = "test/integration/fleet"
	realProgram      = "test/integration/program"
)

func inLiveness(name string) place     { return place{"controller/liveness", name} }
func inFollow(name string) place       { return place{"internal/follow", name} }
func inMembers(name string) place      { return place{"controller/members", name} }
func inMirror(name string) place       { return place{"controller/mirror", name} }
func inRegistration(name string) place { return place{"controller/registration", name} }
func inKeep(name string) place         { return place{"controller/keep", name} }
func inPlan(name string) place         { return place{"controller/plan", name} }
func inResolve(name string) place      { return place{"controller/resolve", name} }
func inMerge(name string) place        { return place{"controller/merge", name} }
func inAccept(name string) place       { return place{"controller/accept", name} }
func inEngine(name string) place       { return place{"controller", name} }
func inProgram(name string) place      { return place{"cmd/mcs-controller", name} }

// None of them quotes the code that it takes out; what stands in quotes below names declarations and fields, or is Go that
// takes the guard's place. Code that can't be named gets a function of its own.
var guards = []guard{
	{"L1", "Leases are renewed only while the provider is reached",
		inMembers("Member.reached"), returns("true"), realClusters, "TestLiveness_L1_L2_L7"},
	{"L1", "the rate of renewals is bounded",
		inMembers("renewal"), returns("leaseRenewal"), unitMembers, "TestRenewalRate_L1"},
	{"L2", "a provider is withdrawn after the grace period",
		inLiveness("Detector.graceOver"), returns("false"), unitLiveness, "TestJudge"},
	{"L2", "not before",
		inLiveness("Detector.graceOver"), returns("true"), unitLiveness, "TestJudge"},
	{"L2", "who is cut off withdraws nothing",
		inLiveness("Detector.cutOff"), returns("false"), realFleet, "TestCutOff_L2"},
	{"L2", "the last endpoints stay",
		inLiveness("Policy.Withdraws"), returns("true"), unitEngine, "TestLastIsJudgedByWhatIsSeen_P2_L2"},
	{"L2", "time asleep does not count",
		inLiveness("longestStep"), is("1 << 62"), unitLiveness, "TestJudge"},
	{"L2", "grace counts from the last contact",
		inLiveness("Observation.ago"), returns("0"), unitLiveness, "TestJudgeCountsFromContact_L2"},
	{"L2", "a probe that hangs ends within the grace period",
		inMembers("Options.patience"), returns("longestPatience"), realClusters, "TestBlackHole_L2_L5"},
	{"L2", "the last endpoints that can be used stay",
		inPlan("pass.counted"), returns("$0.Sources"), unitPlan, "TestLastThatCanBeUsed_L2"},
	{"L3", "what a member that left exported goes",
		inEngine("Controller.Left"), skips("all"), realFleet, "TestMemberLeaves_L3"},
	{"L3", "the Lease of a member that left goes",
		inMembers("removeLease"), returns("nil"), realClusters, "TestLiveness_L1_L2_L7"},
	{"L4", "the lead ends before the Lease is given up",
		inProgram("leadership.term"), sets("LeaderElectionConfig", "ReleaseOnCancel", "true"), unitProgram, "TestLeadEndsInTime_L4"},
	{"L4", "a replica that does not lead does not work",
		inProgram("newLeadership"), never("leaderElect"), realProgram, "TestReplicas_L4"},
	{"L5", "each member has a queue and workers of its own",
		inEngine("lane.one"), begins("oneByOne <- true; defer func() { <-oneByOne }()", "var oneByOne = make(chan bool, 1)"), realFleet, "TestSlowMember_L5"},
	{"L6", "people's imports that a list lacks are not believed gone",
		inMembers("connection.importStore"), skips("DoubtAbsences"), realClusters, "TestRestoredEmpty_L6"},
	{"L6", "an empty directory in another's place says nothing",
		inRegistration("replaced"), returns("false"), unitRegistration, "TestDirectoryMissing_L6"},
	{"L6", "a list that lost most objects is not believed",
		inMirror("tooMany"), returns("false"), realClusters, "TestRestoredEmpty_L6"},
	{"L6", "what came back during an outage is seen before it is believed gone",
		inMirror("Store.doubtAnew"), returns(), unitMirror, "TestDoubt_L6"},
	{"L6", "members don't leave with the namespace of their Secrets",
		inRegistration("homeNamespace.stays"), returns("nil"), realClusters, "TestNamespaceDeleted_L6"},
	{"L6", "not all members leave because their Secrets are deleted at once",
		inRegistration("vanished"), returns("false"), realClusters, "TestVanished_L3_L6"},
	{"L3", "members that are to leave do so, whoever else is deleted",
		inRegistration("stays"), returns("true"), realClusters, "TestVanished_L3_L6"},
	{"L6", "the deletions that come with a CRD's are not believed",
		inMembers("connection.exportStore"), skips("DoubtRemovals"), realClusters, "TestRemovedCRDs_L6"},
	{"L6", "what is not synced is not absent",
		inEngine("nameKnown"), returns("true"), realFleet, "TestAbsentProvider_L3_L9"},
	{"L7", "endpoints return after the stable period",
		inLiveness("Detector.stable"), returns("true"), unitLiveness, "TestJudge"},
	{"L8", "other credentials sync before they replace the old",
		inMembers("connection.atLeast"), returns("true"), realClusters, "TestRotation_L8"},
	{"L9", "the export of a cluster that is away counts",
		inResolve("Name.recalling"), returns("$0"), realFleet, "TestAbsentProvider_L3_L9"},
	{"L10", "a watch that says nothing, or is not opened, is given up",
		inFollow("deadline"), returns("time.NewTimer(1 << 62)"), unitFollow, "TestServers_L10_L6_X6"},
	{"L10", "what a silent watch does not say is learnt",
		inFollow("deadline"), returns("time.NewTimer(1 << 62)"), realClusters, "TestSilentWatch_L10"},
	{"L10", "who can't be watched is not reached",
		inMembers("connection.providerProblem"), returns("nil"), realClusters, "TestWatchesNeverOpen_L10_L2"},
	{"L5", "no more pages are decoded at once than there are turns",
		inMirror("turn.Decode"), returns("nil"), unitMirror, "TestDecodingTakesTurns_L5"},
	{"L11", "a page that stops coming is given up",
		place{"internal/kubeclient", "UntilStalled"}, returns("ctx", "func() {}"), unitFollow, "TestServers_L10_L6_X6"},
	{"M1", "a known member's word about its age is not believed",
		inMerge("unseenAge"), is("1 << 62"), realFleet, "TestLyingAge_M1"},
	{"M1", "what appeared while no controller ran is new",
		inResolve("Met.before"), returns("false"), unitResolve, "TestAges_M1"},
	{"X1", "kubeconfigs from outside name no files",
		inRegistration("credentialsInside"), returns("nil"), unitRegistration, "TestKubeconfigFromOutside_X1"},
	{"X1", "metrics are on loopback unless an address is given",
		inProgram("metricsAddrInPod"), is(`":8080"`), unitProgram, "TestAddresses_X1"},
	{"X2", "special-purpose addresses are refused",
		inPlan("specialPurpose"), returns(`""`), unitPlan, "TestRefusedAddresses_X2"},
	{"X2", "no IPv6 address hides an IPv4 address",
		inPlan("isatap"), returns("false"), unitPlan, "TestSpecialPurpose_X2"},
	{"X2", "addresses of Services here are refused",
		inPlan("pass.unacceptable"), never("ServiceRanges"), realFleet, "TestHostileMember_X2_X3_X4_X5"},
	{"X2", "addresses of nodes here are refused",
		inPlan("pass.unacceptable"), never("NodeAddresses"), realFleet, "TestHostileMember_X2_X3_X4_X5"},
	{"X2", "declared ranges bind",
		inPlan("pass.unacceptable"), never("CIDRs"), realFleet, "TestRanges_X2"},
	{"X2", "a port that there is not breaks no rules of kube-proxy",
		inAccept("isPort"), returns("$1 >= 1"), realFleet, "TestKubeProxy_X2"},
	{"X2", "a slice that etcd refuses is left out",
		inAccept("TooLarge"), returns("false"), unitPlan, "TestHostileRows_X2"},
	{"X2", "no port's name is too long for kube-proxy",
		inAccept("ServicePortName"), returns(`""`), unitPlan, "TestHostileRows_X2"},
	{"X2", "a zone is a label's value",
		inAccept("isLabelValue"), returns("true"), unitPlan, "TestHostileRows_X2"},
	{"X2", "names that no object can have become no keys",
		inMirror("Feed.admits"), returns("true"), unitEngine, "TestNamesOfALyingServer_X2"},
	{"X2", "such names become no keys for exporting by rule",
		place{"internal/mcsapi", "Wellformed"}, returns("nil"), unitExporting, "TestNamesOfALyingServer_X2"},
	{"X2", "such names become no keys for DNS",
		place{"internal/mcsapi", "Wellformed"}, returns("nil"), unitPlugin, "TestMalformedNames_D11"},
	{"X2", "labels that name no object make no keys",
		place{"internal/mcsapi", "IsSubdomain"}, returns("true"), unitMembers, "TestGroups_X2"},
	{"X3", "a member exports only from where it may",
		inRegistration("Limits.MayExport"), returns("true"), realFleet, "TestNamespaceLimits_X3"},
	{"X3", "kube-* namespaces must be meant",
		inRegistration("meant"), returns("true"), unitRegistration, "TestNamespaces_X3"},
	{"X4", "imports of another clusterset remember nothing for this one",
		inEngine("remembered"), never("OtherSet"), unitEngine, "TestMemoryIsOnesOwn_L9_X4"},
	// The selector of the watch keeps them out, too; it saves work, and the plan does not rely on it.
	{"X4", "imported slices are not exported again",
		inPlan("imported"), returns("false"), unitPlan, "TestImportedSlicesAreIgnored_X4"},
	{"X4", "one cluster is one member",
		inMembers("Set.claim"), returns("nil"), realClusters, "TestIdentity_X4"},
	{"X4", "a member takes no other's cluster",
		inMembers("Set.claim"), never("conn"), unitMembers, "TestClaim_X4"},
	{"X4", "who is connected to a cluster keeps it",
		inMembers("Set.claim"), never("connected"), realClusters, "TestNeverReached_X4"},
	{"X5", "exported keys of other controllers need a registration that allows them",
		inMerge("Trusted.refuse"), returns(`""`), realFleet, "TestExportedKeys_X5"},
	{"X5", "another clusterset's import is left alone",
		inPlan("OtherSet"), returns(`""`), unitPlan, "TestTwoClusterSets_X5"},
	{"X6", "a name is not written without end",
		inEngine("pace.wait"), returns("0"), unitEngine, "TestPace_X6"},
	{"X6", "one member wakes no more names than its share",
		inEngine("backlog.admits"), returns("true"), unitEngine, "TestBacklog_X6"},
	{"X6", "what changed nothing wakes nothing",
		inMirror("AlikeButVersion"), returns("false"), unitMirror, "TestNothingChanged_X6"},
	{"X6", "a member that left leaves no backlog",
		inEngine("Controller.Left"), never("b"), unitEngine, "TestBacklogEnds_X6"},
	{"X6", "a ServiceImport that is too large is not kept",
		inKeep("WeighImport"), returns("0"), unitKeep, "TestImport_X6"},
	{"X6", "an imported slice that is too large is not kept",
		inKeep("WeighImported"), returns("0"), unitKeep, "TestImportedSlice_X6"},
	{"X6", "a cluster's objects of a kind together are bounded",
		inMirror("Store.room"), returns("nil"), unitMirror, "TestTotal_X6"},
	{"X6", "a list of too many objects is not taken",
		inMirror("Store.list"), returns("nil"), unitMirror, "TestTotal_X6"},
	{"X6", "of an import that is too large nothing is concluded",
		inPlan("For"), never("Refused"), unitPlan, "TestTooLarge_X6"},
	{"X6", "ranges of ServiceCIDRs are counted",
		inMembers("rangesOf"), never("maxServiceCIDRs"), unitMembers, "TestServiceCIDRs_X6"},
	{"X6", "a kind that comes and goes is held off",
		inMembers("holdOff.observe"), returns("$1"), unitMembers, "TestComesAndGoes_X6"},
}
