package keep

import (
	"fmt"
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file is what of an importing cluster's own objects stays in memory. What the controller writes there it compares as a whole, so
// those objects are bounded by what they take, one by one and together, and not cut.

const (
	// MaxImport bounds a ServiceImport, in bytes of memory, as the following do. All annotations that an API server takes, 1000 ports and
	// the longest conditions have less.
	MaxImport = 1 << 20
	// MaxImported bounds an imported EndpointSlice. One of 1 MiB in etcd, which is the largest that is written, has half of it.
	MaxImported = 4 << 20
	// MaxNodeAddresses is how many addresses of a node are kept.
	MaxNodeAddresses = 64
)

// An importing cluster has room for so much of each kind.
const (
	MaxImports        = 1 << 30
	MaxImportedSlices = 1 << 30
	MaxServices       = 128 << 20
	MaxNamespaces     = 64 << 20
	MaxNodes          = 64 << 20
)

// About what parts of objects take in memory besides their texts.
const (
	objectBytes = 512
	itemBytes   = 128 // an endpoint, a port, a condition, a reference
	mapBytes    = 256
	textBytes   = 16
)

// Import returns what is read of a ServiceImport; nil for nil. The metadata that it has in common with all objects, such as owners, is
// not read.
func Import(i *mcs.ServiceImport) *mcs.ServiceImport {
	if i == nil {
		return nil
	}
	kept := &mcs.ServiceImport{ObjectMeta: identity(&i.ObjectMeta), Spec: i.Spec, Status: i.Status}
	kept.Labels, kept.Annotations = i.Labels, unmarked(i.Annotations)
	if bytes := WeighImport(kept); bytes > MaxImport {
		stub := &mcs.ServiceImport{ObjectMeta: identity(&i.ObjectMeta)}
		mark(&stub.ObjectMeta, markRefused, fmt.Sprintf("%d KiB; want at most %d", bytes>>10, MaxImport>>10))
		return stub
	}
	return kept
}

// WeighImport returns about the bytes of memory that a ServiceImport takes.
func WeighImport(i *mcs.ServiceImport) int {
	n := weighMeta(&i.ObjectMeta)
	for p := range i.Spec.Ports {
		port := &i.Spec.Ports[p]
		n += itemBytes + len(port.Name) + len(port.Protocol) + optional(port.AppProtocol)
	}
	for _, ip := range i.Spec.IPs {
		n += textBytes + len(ip)
	}
	for _, family := range i.Spec.IPFamilies {
		n += textBytes + len(family)
	}
	n += len(i.Spec.Type) + len(i.Spec.SessionAffinity) + len(i.Status.EndpointSliceObjects) + optional(i.Spec.InternalTrafficPolicy) + optional(i.Spec.TrafficDistribution)
	for c := range i.Status.Clusters {
		n += textBytes + len(i.Status.Clusters[c].Cluster)
	}
	for c := range i.Status.Conditions {
		condition := &i.Status.Conditions[c]
		n += itemBytes + len(condition.Type) + len(condition.Status) + len(condition.Reason) + len(condition.Message)
	}
	return n
}

// ImportedSlice returns an EndpointSlice that this controller manages, without managed fields; nil for nil. Of one that is too large, or
// has an unknown address type, the labels that say what it belongs to stay, so that it is written anew or deleted.
func ImportedSlice(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	if s == nil {
		return nil
	}
	kept := &discoveryv1.EndpointSlice{ObjectMeta: writable(&s.ObjectMeta), AddressType: addressType(s), Endpoints: s.Endpoints, Ports: s.Ports}
	why := ""
	if bytes := WeighImported(kept); bytes > MaxImported {
		why = fmt.Sprintf("%d KiB; want at most %d", bytes>>10, MaxImported>>10)
	} else if kept.AddressType == "" {
		why = "an unknown address type"
	}
	if why != "" {
		stub := &discoveryv1.EndpointSlice{
			ObjectMeta: identity(&s.ObjectMeta, mcsapi.LabelServiceName, mcsapi.LabelReserve, mcsapi.LabelClusterSet, mcsapi.LabelSourceCluster,
				discoveryv1.LabelServiceName, discoveryv1.LabelManagedBy),
			AddressType: kept.AddressType,
		}
		mark(&stub.ObjectMeta, markRefused, why)
		return stub
	}
	return kept
}

// WeighImported returns about the bytes of memory that an imported EndpointSlice takes, of which every field is compared.
func WeighImported(s *discoveryv1.EndpointSlice) int {
	n := weighMeta(&s.ObjectMeta) + int(Weigh(s)[3]) - objectBytes
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		n += weighTexts(e.DeprecatedTopology)
		if e.Hints != nil {
			for z := range e.Hints.ForZones {
				n += textBytes + len(e.Hints.ForZones[z].Name)
			}
			for z := range e.Hints.ForNodes {
				n += textBytes + len(e.Hints.ForNodes[z].Name)
			}
		}
		if r := e.TargetRef; r != nil {
			n += itemBytes + len(r.Kind) + len(r.Namespace) + len(r.Name) + len(r.UID) + len(r.APIVersion) + len(r.ResourceVersion) + len(r.FieldPath)
		}
	}
	for i := range s.Ports {
		n += optional(s.Ports[i].AppProtocol)
	}
	return n
}

// WeighService returns about the bytes of memory that a Service takes, as [WholeService] or [Service] keeps it. Elements of lists are
// counted apart: an empty one takes two bytes as protocol buffers.
func WeighService(s *corev1.Service) int {
	spec := &s.Spec
	elements := len(spec.Ports) + len(spec.Selector) + len(spec.ClusterIPs) + len(spec.ExternalIPs) + len(spec.LoadBalancerSourceRanges) + len(spec.IPFamilies)
	return weighMeta(&s.ObjectMeta) + spec.Size() + itemBytes*elements
}

// Namespace returns what is read of a Namespace, which is whether it is there and stays; nil for nil.
func Namespace(ns *corev1.Namespace) *corev1.Namespace {
	if ns == nil {
		return nil
	}
	phase := ns.Status.Phase
	if phase != corev1.NamespaceTerminating {
		phase = ""
	}
	return &corev1.Namespace{ObjectMeta: identity(&ns.ObjectMeta), Status: corev1.NamespaceStatus{Phase: phase}}
}

// Node returns what is read of a Node, which is its addresses; nil for nil. Texts that are no addresses are nobody's.
func Node(n *corev1.Node) *corev1.Node {
	if n == nil {
		return nil
	}
	kept := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: identity(&n.ObjectMeta).UID, ResourceVersion: brief(n.ResourceVersion)}}
	for _, a := range n.Status.Addresses {
		addr, err := netip.ParseAddr(a.Address)
		if err != nil || a.Type != corev1.NodeInternalIP && a.Type != corev1.NodeExternalIP {
			continue
		}
		if len(kept.Status.Addresses) == MaxNodeAddresses {
			mark(&kept.ObjectMeta, markRefused, fmt.Sprintf("more than %d addresses", MaxNodeAddresses))
			break
		}
		if addr.Zone() != "" { // of any length
			a.Address = addr.WithZone("").String()
		}
		kept.Status.Addresses = append(kept.Status.Addresses, a)
	}
	return kept
}

// WeighNamespace and WeighNode return about the bytes of memory that those take.
func WeighNamespace(ns *corev1.Namespace) int { return weighMeta(&ns.ObjectMeta) }
func WeighNode(n *corev1.Node) int {
	return weighMeta(&n.ObjectMeta) + itemBytes*len(n.Status.Addresses)
}

// weighMeta returns about the bytes that an object takes with its metadata, whatever there is below.
func weighMeta(m *metav1.ObjectMeta) int {
	n := objectBytes + len(m.Namespace) + len(m.Name) + len(m.GenerateName) + len(m.UID) + len(m.ResourceVersion)
	n += weighTexts(m.Labels) + weighTexts(m.Annotations)
	for i := range m.OwnerReferences {
		r := &m.OwnerReferences[i]
		n += itemBytes + len(r.APIVersion) + len(r.Kind) + len(r.Name) + len(r.UID)
	}
	for _, f := range m.Finalizers {
		n += textBytes + len(f)
	}
	return n
}

func weighTexts(texts map[string]string) (n int) {
	if len(texts) > 0 {
		n = mapBytes
	}
	for key, value := range texts {
		n += itemBytes/2 + len(key) + len(value)
	}
	return n
}

// optional is what an optional text takes.
func optional[T ~string](text *T) int {
	if text == nil {
		return 0
	}
	return textBytes + len(*text)
}

// unmarked returns annotations without the marks that only this package sets.
func unmarked(annotations map[string]string) map[string]string {
	for _, key := range []string{markRefused, markPorts, markStatus} {
		if _, marked := annotations[key]; marked {
			annotations = maps.Clone(annotations)
			delete(annotations, key)
		}
	}
	return annotations
}
