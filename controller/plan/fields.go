package plan

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// scalar is a field of a ServiceImport's spec that must match the exported Service, as text; "" is unset.
type scalar struct {
	name, reason string
	held         func(*mcs.ServiceImportSpec) string
	want         func(*merge.Service) string
	// json is the value for a merge patch; set puts it into a new import.
	json func(string) any
	set  func(*mcs.ServiceImportSpec, string)
	// same compares values that are both set; nil compares the text.
	same func(a, b string) bool
}

// path names the field in Consumer.Drops and in messages.
func (f *scalar) path() string { return "spec." + f.name }

func (f *scalar) equal(a, b string) bool {
	return a == b || f.same != nil && a != "" && b != "" && f.same(a, b)
}

var scalars = []scalar{
	{
		name: "sessionAffinity", reason: SessionAffinityMismatch,
		held: func(s *mcs.ServiceImportSpec) string { return string(s.SessionAffinity) },
		want: func(s *merge.Service) string { return string(s.SessionAffinity) },
		json: text,
		set:  func(s *mcs.ServiceImportSpec, v string) { s.SessionAffinity = corev1.ServiceAffinity(v) },
	},
	{
		name: "sessionAffinityConfig", reason: SessionAffinityConfigMismatch,
		held: func(s *mcs.ServiceImportSpec) string {
			if c := s.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
				return strconv.Itoa(int(*c.ClientIP.TimeoutSeconds)) + "s"
			}
			return ""
		},
		want: func(s *merge.Service) string {
			if s.AffinityTimeout == nil {
				return ""
			}
			return strconv.Itoa(int(*s.AffinityTimeout)) + "s"
		},
		json: func(v string) any {
			return map[string]any{"clientIP": map[string]any{"timeoutSeconds": seconds(v)}}
		},
		set: func(s *mcs.ServiceImportSpec, v string) {
			timeout := seconds(v)
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}}
		},
	},
	{
		name: "internalTrafficPolicy", reason: InternalTrafficPolicyMismatch,
		held: func(s *mcs.ServiceImportSpec) string {
			if s.InternalTrafficPolicy == nil {
				return ""
			}
			return string(*s.InternalTrafficPolicy)
		},
		want: func(s *merge.Service) string { return string(s.InternalTrafficPolicy) },
		json: text,
		set: func(s *mcs.ServiceImportSpec, v string) {
			policy := corev1.ServiceInternalTrafficPolicy(v)
			s.InternalTrafficPolicy = &policy
		},
	},
	{
		name: "trafficDistribution", reason: TrafficDistributionMismatch,
		held: func(s *mcs.ServiceImportSpec) string {
			if s.TrafficDistribution == nil {
				return ""
			}
			return *s.TrafficDistribution
		},
		want: func(s *merge.Service) string { return s.TrafficDistribution },
		json: text,
		set:  func(s *mcs.ServiceImportSpec, v string) { s.TrafficDistribution = &v },
		same: merge.SameDistribution,
	},
}

func text(v string) any { return v }

// seconds reads what the config's held and want wrote.
func seconds(v string) int32 {
	n, _ := strconv.ParseInt(v[:len(v)-1], 10, 32)
	return int32(n)
}

// importPorts are ports as an import has them: with the names that derived Service and slices have, by which readers match
// them (SPEC M2), and never nil.
func importPorts(ports []merge.Port) []mcs.ServicePort {
	out := make([]mcs.ServicePort, len(ports))
	for i := range ports {
		port := &ports[i]
		out[i] = mcs.ServicePort{Name: port.Published, Protocol: port.Protocol, Port: port.Number}
		if port.AppProtocol != "" {
			out[i].AppProtocol = &port.AppProtocol
		}
	}
	return out
}

func samePorts(a, b []mcs.ServicePort) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if portOf(&a[i]) != portOf(&b[i]) {
			return false
		}
	}
	return true
}

// portOf is a port of an import in the form in which exports have it.
func portOf(p *mcs.ServicePort) merge.Port {
	out := merge.Port{Name: p.Name, Protocol: p.Protocol, Number: p.Port}
	if out.Protocol == "" {
		out.Protocol = corev1.ProtocolTCP
	}
	if p.AppProtocol != nil {
		out.AppProtocol = *p.AppProtocol
	}
	return out
}
