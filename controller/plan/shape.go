package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// shape is what the import is to look like here: the merged service, seen through what the consumer supports and what a
// person's import asks for.
type shape struct {
	// served says that derived Service and slices are wanted; otherwise reason and message are those of Ready=False.
	served  bool
	reason  mcs.ServiceImportConditionReason
	message string

	headless bool
	// ports are those served, families those of the derived Service and the import, the primary first.
	ports    []merge.Port
	families []corev1.IPFamily
	// appProtocols are those of ports, by published name; nil until somebody asks.
	appProtocols map[string]*string
	// mismatches are the fields of a person's import that disagree with the exports.
	mismatches []mismatch
}

func (p *pass) decide() shape {
	switch {
	case p.Closed != "":
		return unserved(mcs.ServiceImportReasonPending, p.Closed)
	case p.Service == nil:
		return unserved(mcs.ServiceImportReasonPending, p.nobody())
	}
	s := shape{served: true, headless: p.Service.Headless, ports: p.Service.Ports, families: p.families()}
	if p.Import != nil && !p.automatic(p.Import) {
		p.match(&s)
	}
	switch {
	case slices.ContainsFunc(s.mismatches, func(m mismatch) bool { return m.reason == TypeMismatch }):
		s.refuse(mcs.ServiceImportReasonPending, "nothing is served, because spec.type is not what is exported")
	case len(s.families) == 0:
		s.refuse(mcs.ServiceImportReasonIPFamilyNotSupported, fmt.Sprintf("the exported Services have %s, this cluster has %s",
			show(p.Service.IPFamilies), show(p.Families)))
	case p.Derived != nil && p.own.derived == nil:
		s.refuse(mcs.ServiceImportReasonPending, fmt.Sprintf(
			"a Service %s that this controller did not create is in the way; rename or delete it", p.derived))
	case !s.headless && len(p.Service.Ports) == 0:
		s.refuse(mcs.ServiceImportReasonPending, "none of the exported ports can be imported")
	case !s.headless && len(s.ports) == 0:
		s.refuse(mcs.ServiceImportReasonPending, "none of the ports in spec.ports is exported")
	}
	return s
}

func unserved(reason mcs.ServiceImportConditionReason, message string) shape {
	return shape{reason: reason, message: message}
}

func (s *shape) refuse(reason mcs.ServiceImportConditionReason, message string) {
	s.served, s.reason, s.message = false, reason, message
}

// nobodyIn begins what is said of an import without exporters; the name of the clusterset follows.
const nobodyIn = "no cluster of clusterset "

// nobody says that there is no exporter, and what is known instead.
func (p *pass) nobody() string {
	message := fmt.Sprintf("%s%s exports %s", nobodyIn, p.ClusterSet, p.Key)
	if said := p.heldReady().Message; len(p.Unsure) > 0 && strings.HasPrefix(said, message) {
		return said // what is not known for a while, as after a restart, is no reason to say it again otherwise
	}
	if len(p.Refused) > 0 {
		message += "; refused: " + strings.Join(few(p.Refused), ", ")
	}
	if len(p.LeftOut) > 0 {
		message += fmt.Sprintf("; left out by annotation %s: %s", mcsapi.AnnotationProviders, strings.Join(few(p.LeftOut), ", "))
	}
	if len(p.Members) > 0 {
		message += "; known clusters: " + strings.Join(few(p.Members), ", ")
	}
	if len(p.Unsure) > 0 {
		message += "; not known now of " + strings.Join(few(sorted(p.Unsure)), ", ")
	}
	return message
}

// families are those that the consumer allocates and any exporter has, in the consumer's order; but the primary of what is
// there stays for as long as any exporter has it, since it can't be changed in place (SPEC I4).
func (p *pass) families() []corev1.IPFamily {
	var out []corev1.IPFamily
	switch exported := p.Service.IPFamilies; {
	case len(exported) == 0:
		out = slices.Clone(p.Families)
	case len(p.Families) == 0:
		out = slices.Clone(exported)
	default:
		for _, f := range p.Families {
			if slices.Contains(exported, f) {
				out = append(out, f)
			}
		}
	}
	if at := slices.Index(out, p.primary()); at > 0 {
		out[0], out[at] = out[at], out[0]
	}
	return out
}

// primary is the first family of what the consumer holds now, or "".
func (p *pass) primary() corev1.IPFamily {
	if s := p.own.derived; s != nil && len(s.Spec.IPFamilies) > 0 {
		return s.Spec.IPFamilies[0]
	}
	if p.Import != nil && p.wasServed() && len(p.Import.Spec.IPFamilies) > 0 {
		return p.Import.Spec.IPFamilies[0]
	}
	return ""
}

func show(families []corev1.IPFamily) string {
	if len(families) == 0 {
		return "no IP family"
	}
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = string(f)
	}
	return strings.Join(names, " and ")
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s, in := range set {
		if in {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}
