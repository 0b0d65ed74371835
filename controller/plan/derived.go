package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// children plans slices and derived Service: slices come before the Service that needs them and go after it, so that
// kube-proxy never sees the Service without its endpoints (SPEC I8).
func (p *pass) children() []Action {
	if !p.shape.served {
		return p.clear(p.shape.message)
	}
	add, remove := p.planSlices()
	actions := add
	if a, ok := p.planDerived(); ok {
		actions = append(actions, a)
	}
	return append(actions, remove...)
}

// planDerived is the next write to the derived Service, if one is due.
func (p *pass) planDerived() (Action, bool) {
	held := p.Derived
	switch {
	case held != nil && held.DeletionTimestamp != nil:
		return Action{}, false // its finalizers run; it is made anew when it is gone
	case held == nil:
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: p.Key.Namespace, Name: p.derived}}
		p.shapeService(s)
		p.request(s)
		return Action{Verb: Create, Object: s, Reason: "to carry the address of ServiceImport " + p.Key.Name}, true
	}
	if why := p.replaces(); why != "" {
		return Action{Verb: Delete, Object: held, Reason: "to be made anew: " + why}, true
	}
	s := held.DeepCopy()
	p.shapeService(s)
	if same := sameService(held, s); same {
		return Action{}, false
	}
	return Action{Verb: Update, Object: s, Reason: "it differs from what is exported"}, true
}

// replaces says why the held Service can't be changed into the wanted one, or "" (SPEC I4, I6): its clusterIP and its first
// family are immutable.
func (p *pass) replaces() string {
	if p.own.derived == nil {
		return ""
	}
	spec := &p.own.derived.Spec
	headless := spec.ClusterIP == corev1.ClusterIPNone
	switch {
	case spec.Type == corev1.ServiceTypeExternalName || spec.ClusterIP == "":
		return "" // made so by hand; it has no address yet that could be in the way
	case headless && !p.shape.headless:
		return "the exported Service is no longer headless"
	case !headless && p.shape.headless:
		return "the exported Service is headless now"
	case len(spec.IPFamilies) > 0 && spec.IPFamilies[0] != p.shape.families[0]:
		return fmt.Sprintf("exported Services no longer have %s", spec.IPFamilies[0])
	}
	return ""
}

// shapeService gives s the metadata and the whole spec that the derived Service should have, all defaults spelled out.
func (p *pass) shapeService(s *corev1.Service) {
	before := filledOf(s)
	var after filled
	s.Labels, after.Labels = export(s.Labels, p.Service.Labels, before.Labels, false)
	s.Annotations, after.Annotations = export(s.Annotations, p.Service.Annotations, before.Annotations, false)
	s.Labels[mcsapi.LabelClusterSet] = p.ClusterSet
	s.Labels[mcsapi.LabelServiceName] = p.Key.Name
	put(s.Annotations, mcsapi.AnnotationFilled, after.String())
	s.OwnerReferences = p.owned(s.OwnerReferences)

	global := &p.Service.Service
	spec := corev1.ServiceSpec{
		Type:            corev1.ServiceTypeClusterIP,
		ClusterIP:       s.Spec.ClusterIP,
		ClusterIPs:      s.Spec.ClusterIPs,
		IPFamilies:      p.shape.families,
		Ports:           p.servicePorts(),
		SessionAffinity: global.SessionAffinity,
	}
	policy := corev1.IPFamilyPolicySingleStack
	if len(spec.IPFamilies) > 1 {
		policy = corev1.IPFamilyPolicyRequireDualStack
	}
	spec.IPFamilyPolicy = &policy
	if p.shape.headless {
		spec.ClusterIP, spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	} else if len(spec.ClusterIPs) > len(spec.IPFamilies) {
		spec.ClusterIPs = spec.ClusterIPs[:len(spec.IPFamilies)]
	}
	if global.AffinityTimeout != nil {
		spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: global.AffinityTimeout}}
	}
	if !p.Drops["service.spec.internalTrafficPolicy"] {
		spec.InternalTrafficPolicy = &global.InternalTrafficPolicy
	}
	if knownDistribution(global.TrafficDistribution) && !p.Drops["service.spec.trafficDistribution"] {
		spec.TrafficDistribution = &global.TrafficDistribution
	}
	s.Spec = spec
}

// knownDistribution says whether API servers take the value. A provider may be newer than the consumer.
func knownDistribution(d string) bool {
	return d == corev1.ServiceTrafficDistributionPreferClose || d == corev1.ServiceTrafficDistributionPreferSameZone ||
		d == corev1.ServiceTrafficDistributionPreferSameNode
}

func (p *pass) servicePorts() []corev1.ServicePort {
	out := make([]corev1.ServicePort, len(p.shape.ports))
	for i := range p.shape.ports {
		port := &p.shape.ports[i]
		out[i] = corev1.ServicePort{Name: port.Published, Protocol: port.Protocol, Port: port.Number, TargetPort: intstr.FromInt32(port.Number)}
		if port.AppProtocol != "" {
			out[i].AppProtocol = &port.AppProtocol
		}
	}
	return out
}

func sameService(a, b *corev1.Service) bool {
	return apiequality.Semantic.DeepEqual(a.Spec, b.Spec) && apiequality.Semantic.DeepEqual(a.Labels, b.Labels) &&
		apiequality.Semantic.DeepEqual(a.Annotations, b.Annotations) && apiequality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
}

// addresses are the import's spec.ips: those of the derived Service that stays, one per family, in their order (SPEC I4).
func (p *pass) addresses() []string {
	if !p.shape.served || p.shape.headless || p.own.derived == nil || p.Derived.DeletionTimestamp != nil || p.replaces() != "" {
		return nil
	}
	var out []string
	for i, ip := range p.Derived.Spec.ClusterIPs {
		if i < len(p.shape.families) && ip != "" && ip != corev1.ClusterIPNone {
			out = append(out, ip)
		}
	}
	if p.Drops["spec.ips[1]"] && len(out) > 1 {
		out = out[:1]
	}
	return out
}

// reserved are the addresses of a derived Service that is not there, but was: it gets them again when it is made anew,
// because an import keeps its addresses for life (SPEC I4). What a person wrote into spec.ips is not among them.
func (p *pass) reserved() []string {
	ips := p.Import.Spec.IPs
	if p.Derived != nil || p.AddressLost || !p.shape.served || p.shape.headless || !p.wasServed() || len(ips) > len(p.shape.families) {
		return nil
	}
	for i, ip := range ips {
		addr, err := netip.ParseAddr(ip)
		if err != nil || addr.Is4() != (p.shape.families[i] == corev1.IPv4Protocol) {
			return nil
		}
	}
	return ips
}

// request asks for the addresses that the import already hands out.
func (p *pass) request(s *corev1.Service) {
	if ips := p.reserved(); len(ips) > 0 {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = ips[0], slices.Clone(ips)
	}
}

// servedBy names what carries the import, for its Ready condition.
func (p *pass) servedBy() string {
	return fmt.Sprintf("exported by %s; served by Service %s", strings.Join(few(p.Service.Clusters), ", "), p.derived)
}
