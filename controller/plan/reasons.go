package plan

type (
	// Reason is a reason of a condition. The page docs/reference.md has every constant of this type, and every reason of the
	// API module and of package merge.
	Reason = string
	// EventReason is a reason that only Events have. The page has these, too.
	EventReason = string
)

// Reasons of [ConditionMismatch], one for each field of the spec.
const (
	TypeMismatch                  Reason = "TypeMismatch"
	PortsMismatch                 Reason = "PortsMismatch"
	SessionAffinityMismatch       Reason = "SessionAffinityMismatch"
	SessionAffinityConfigMismatch Reason = "SessionAffinityConfigMismatch"
	InternalTrafficPolicyMismatch Reason = "InternalTrafficPolicyMismatch"
	TrafficDistributionMismatch   Reason = "TrafficDistributionMismatch"
)

// Reasons of [ConditionRefused] and [ConditionUnreachable]. An import may have both of a condition, joined by a comma.
const (
	EndpointsRefused Reason = "EndpointsRefused"
	KeysRefused      Reason = "KeysRefused"

	EndpointsWithdrawn Reason = "EndpointsWithdrawn"
	EndpointsKept      Reason = "EndpointsKept"
	ServiceKept        Reason = "ServiceKept"
)

// Reasons of conditions that have only one.
const (
	InternalTrafficPolicyLocal Reason = "InternalTrafficPolicyLocal" // of [ConditionNoLocalEndpoints]
	RestrictedProviders        Reason = "Providers"                  // of [ConditionRestricted]
)

// Reasons of Events that announce no change of a condition. The Event of a change has the condition's reason; if there are several,
// its type; if the condition is gone, its type and resolved.
const (
	PrecedenceChanged      EventReason = "PrecedenceChanged"
	DerivedServiceReplaced EventReason = "DerivedServiceReplaced"
	AddressLost            EventReason = "AddressLost"

	resolved = "Resolved"
)
