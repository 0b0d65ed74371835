package merge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Reasons of an [Invalid] export beside those of the API module.
const (
	// InvalidName is a name that no Service can have, so that no DNS name can be made of it (SPEC X2).
	InvalidName mcs.ServiceExportConditionReason = "InvalidName"
	// InvalidPorts are ports that no API server would have accepted, or too many of them (SPEC X2).
	InvalidPorts mcs.ServiceExportConditionReason = "InvalidPorts"
	// InvalidChoice is an annotation that names more clusters than can be kept (SPEC P2).
	InvalidChoice mcs.ServiceExportConditionReason = "InvalidChoice"
	// TooLarge is an export, or a Service, of which nothing is kept because it is too large (SPEC X6).
	TooLarge mcs.ServiceExportConditionReason = "TooLarge"
	// NamespaceNotAllowed is a namespace from which the cluster may not export (SPEC X3).
	NamespaceNotAllowed mcs.ServiceExportConditionReason = "NamespaceNotAllowed"
)

// MaxPorts is how many ports an exported Service may have. It bounds what one exporting cluster makes every importing
// cluster store.
const MaxPorts = keep.MaxPorts

// maxPortText bounds the names and protocols of an export's ports together, in bytes, because importing clusters keep each
// export on their import.
const maxPortText = 64 << 10

// Invalid says why a ServiceExport exports nothing (condition Valid=False).
type Invalid struct {
	Reason  mcs.ServiceExportConditionReason
	Message string
}

// Trusted reports whether an exported label or annotation with a key that has a domain is taken from a cluster; nil takes
// none. It is asked only about keys that pass [RefusedKeys]'s other rules (SPEC X5).
type Trusted func(key string) bool

// Of returns what cluster offers by export, whose Service is service, or nil if the cluster has no Service of that name.
// Labels and annotations are those that the cluster is trusted with.
// What API servers default is brought to one form, so that Services of servers of different age compare equal. A second
// result that is not nil says that nothing is exported (KEP-1645 "Exporting Services", SPEC E1, E2).
func Of(cluster string, export *mcs.ServiceExport, service *corev1.Service, trusted Trusted) (Export, *Invalid) {
	if invalid := exportable(export, service); invalid != nil {
		return Export{}, invalid
	}
	ports, why := acceptPorts(service.Spec.Ports)
	if why != "" {
		return Export{}, &Invalid{InvalidPorts, fmt.Sprintf("Service %s/%s: %s", export.Namespace, export.Name, why)}
	}
	labels, annotations, _ := exported(&export.Spec, trusted)
	var refused []Refusal
	judge := accept.Judge{Refused: func(what, why string) { refused = append(refused, Refusal{what, why}) }}
	accepted := judge.Service(service)
	return Export{
		Cluster:     cluster,
		Created:     timestamp(export.CreationTimestamp.Time),
		Labels:      labels,
		Annotations: annotations,
		Consumers:   Consumers(export),
		Prefer:      chosen(export, mcsapi.AnnotationPrefer),
		Service:     properties(&accepted.Spec, ports),
		Refused:     refused,
	}, nil
}

func exportable(export *mcs.ServiceExport, service *corev1.Service) *Invalid {
	name := export.Namespace + "/" + export.Name
	if why := keep.Refused(export); why != "" {
		return &Invalid{TooLarge, fmt.Sprintf("ServiceExport %s has %s", name, why)}
	}
	if service == nil {
		return &Invalid{mcs.ServiceExportReasonNoService, fmt.Sprintf("Service %s does not exist; create it, or delete this export", name)}
	}
	if len(validation.IsDNS1123Label(export.Name)) != 0 {
		return &Invalid{InvalidName, fmt.Sprintf("%q is not a DNS label", excerpt.Of(export.Name, 80))}
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return &Invalid{mcs.ServiceExportReasonInvalidServiceType,
			fmt.Sprintf("Service %s is of type ExternalName, which has no endpoints; export a ClusterIP, headless, NodePort or LoadBalancer Service", name)}
	}
	if set, derived := service.Labels[mcsapi.LabelClusterSet]; derived {
		return &Invalid{mcs.ServiceExportReasonInvalidServiceType,
			fmt.Sprintf("Service %s is itself derived from a ServiceImport of clusterset %s; imported services are not exported again", name, excerpt.Of(set, 80))}
	}
	if why := keep.Refused(service); why != "" {
		return &Invalid{TooLarge, fmt.Sprintf("Service %s has %s", name, why)}
	}
	if n := keep.Ports(service); n > MaxPorts {
		return &Invalid{InvalidPorts, fmt.Sprintf("Service %s: %s", name, tooManyPorts(n))}
	}
	return badChoice(export)
}

func tooManyPorts(n int) string {
	return fmt.Sprintf("%d ports, of which at most %d can be exported", n, MaxPorts)
}

// acceptPorts returns ports in the form that they have after the defaulting of a present API server, or says why they can't
// be exported: a consumer's API server would refuse the derived Service for it, or its kube-proxy every Service.
func acceptPorts(list []corev1.ServicePort) (ports []Port, why string) {
	if len(list) > MaxPorts {
		return nil, tooManyPorts(len(list))
	}
	judge := accept.Judge{Refused: func(what, reason string) { why = excerpt.Of(what, 80) + " is " + reason }}
	size := 0
	ports = slices.Grow(ports, len(list))
	for i := range list {
		var accepted corev1.ServicePort
		if !judge.ServicePort(&accepted, &list[i]) {
			return nil, why
		}
		port := Port{Name: accepted.Name, Protocol: accepted.Protocol, Number: accepted.Port}
		if accepted.AppProtocol != nil {
			port.AppProtocol = *accepted.AppProtocol
		}
		ports = append(ports, port)
		size += len(port.Name) + len(port.AppProtocol)
	}
	if size > maxPortText {
		return nil, fmt.Sprintf("more than %d KiB of port names and appProtocols", maxPortText>>10)
	}
	return ports, ""
}

// properties brings a Service's global properties, as far as they are acceptable, to the form that they have after the
// defaulting of a present API server.
func properties(spec *corev1.ServiceSpec, ports []Port) Service {
	s := Service{
		Headless:              spec.ClusterIP == corev1.ClusterIPNone,
		Ports:                 ports,
		SessionAffinity:       corev1.ServiceAffinityNone,
		InternalTrafficPolicy: corev1.ServiceInternalTrafficPolicyCluster,
		IPFamilies:            families(spec),
	}
	if spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		s.SessionAffinity = corev1.ServiceAffinityClientIP
		timeout := int32(corev1.DefaultClientIPServiceAffinitySeconds)
		if c := spec.SessionAffinityConfig; c != nil {
			timeout = *c.ClientIP.TimeoutSeconds
		}
		s.AffinityTimeout = &timeout
	}
	if p := spec.InternalTrafficPolicy; p != nil {
		s.InternalTrafficPolicy = *p
	}
	if d := spec.TrafficDistribution; d != nil {
		s.TrafficDistribution = *d
	}
	return s
}

// families are spec.ipFamilies, or what the address says where a server older than dual-stack left them out.
func families(spec *corev1.ServiceSpec) []corev1.IPFamily {
	var out []corev1.IPFamily
	add := func(f corev1.IPFamily) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for _, f := range spec.IPFamilies {
		add(f)
	}
	if len(out) > 0 || spec.ClusterIP == "" || spec.ClusterIP == corev1.ClusterIPNone {
		return out
	}
	if strings.Contains(spec.ClusterIP, ":") {
		add(corev1.IPv6Protocol)
	} else {
		add(corev1.IPv4Protocol)
	}
	return out
}

// MaxExportedBytes is how much spec.exportedLabels and spec.exportedAnnotations may hold together, keys and values. All of
// it is kept on the import, once as it is and once remembered, and an object's annotations are limited to 256 KiB.
const MaxExportedBytes = keep.MaxValue

// maxExportedKeys is how many of each are looked at. As many of one octet fill a third of MaxExportedBytes.
const maxExportedKeys = 4096

// RefusedKeys names, in order, the keys of spec.exportedLabels and spec.exportedAnnotations that are not exported, with the
// reason, such as "label app.kubernetes.io/name (reserved domain)" (SPEC E4, X5); nil when all are exported.
func RefusedKeys(export *mcs.ServiceExport, trusted Trusted) []string {
	_, _, refused := exported(&export.Spec, trusted)
	return refused
}

// Trust returns e without the labels and annotations that its cluster is not trusted with: a remembered export may be older
// than that decision.
func (e Export) Trust(trusted Trusted) Export {
	untrusted := func(key, _ string) bool { return trusted.refuse(key) != "" }
	e.Labels, e.Annotations = maps.Clone(e.Labels), maps.Clone(e.Annotations)
	maps.DeleteFunc(e.Labels, untrusted)
	maps.DeleteFunc(e.Annotations, untrusted)
	return e
}

func (t Trusted) refuse(key string) string {
	if strings.Contains(key, "/") && (t == nil || !t(key)) {
		return "not in exported-keys of the cluster's registration"
	}
	return ""
}

func exported(spec *mcs.ServiceExportSpec, trusted Trusted) (labels, annotations map[string]string, refused []string) {
	size := 0
	keep := func(kind string, in map[string]string, check func(key, value string) string) map[string]string {
		var out map[string]string
		if len(in) > maxExportedKeys { // which would all have to be sorted, judged and named
			refused = append(refused, fmt.Sprintf("all %ss (%d of them, more than %d)", kind, len(in), maxExportedKeys))
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(in)) {
			value := in[key]
			why := cmp.Or(check(key, value), trusted.refuse(key))
			if why == "" && size+len(key)+len(value) > MaxExportedBytes {
				why = fmt.Sprintf("more than %d KiB of labels and annotations", MaxExportedBytes>>10)
			}
			if why != "" {
				refused = append(refused, fmt.Sprintf("%s %s (%s)", kind, excerpt.Of(key, 80), why))
				continue
			}
			if out == nil {
				out = make(map[string]string, len(in))
			}
			out[key] = value
			size += len(key) + len(value)
		}
		return out
	}
	labels = keep("label", spec.ExportedLabels, badLabel)
	annotations = keep("annotation", spec.ExportedAnnotations, badAnnotation)
	return labels, annotations, refused
}

// reservedDomains are those whose keys steer Kubernetes or this controller, and so are never taken from another cluster.
var reservedDomains = []string{"kubernetes.io", "k8s.io", mcsapi.Domain}

func badLabel(key, value string) string {
	if why := badKey(key); why != "" {
		return why
	}
	if len(value) > validation.LabelValueMaxLength || len(validation.IsValidLabelValue(value)) != 0 { // which looks at all of it
		return "not a label value"
	}
	return ""
}

// badAnnotation judges the key in lower case, as API servers do with annotations; the value is any text that can be shown. One that is
// longer than all together may be is not looked at: it is refused for that.
func badAnnotation(key, value string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }
	if why := badKey(strings.ToLower(key)); why != "" {
		return why
	}
	if len(value) > MaxExportedBytes {
		return ""
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, hidden) {
		return "not printable"
	}
	return ""
}

func badKey(key string) string {
	if len(validation.IsQualifiedName(key)) != 0 {
		return "not a qualified name"
	}
	domain, _, qualified := strings.Cut(key, "/")
	if !qualified {
		return ""
	}
	for _, reserved := range reservedDomains {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return "reserved domain"
		}
	}
	return ""
}
