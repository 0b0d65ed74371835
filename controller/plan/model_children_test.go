package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

func (c *consumer) applyService(a *Action, o *corev1.Service) {
	c.t.Helper()
	if len(a.Patch) > 0 || a.Verb != Create && (c.svc == nil || o.UID != c.svc.UID || o.ResourceVersion != c.svc.ResourceVersion) {
		c.t.Fatalf("%s of a Service that is not as it is held", a.Verb)
	}
	switch a.Verb {
	case Create:
		if c.svc != nil {
			c.t.Fatal("the Service exists")
		}
		next := roundTrip(c.t, o)
		c.putService(next)
	case Update:
		if c.svc.Spec.ClusterIP != "" && o.Spec.ClusterIP != c.svc.Spec.ClusterIP {
			c.t.Fatalf("spec.clusterIP: Invalid value: %q: field is immutable", o.Spec.ClusterIP)
		}
		if len(c.svc.Spec.IPFamilies) > 0 && o.Spec.IPFamilies[0] != c.svc.Spec.IPFamilies[0] {
			c.t.Fatalf("spec.ipFamilies[0]: Invalid value: %q: primary family is immutable", o.Spec.IPFamilies[0])
		}
		before := c.svc
		c.putService(roundTrip(c.t, o))
		same := before.DeepCopy()
		same.ResourceVersion = c.svc.ResourceVersion
		if reflect.DeepEqual(same, c.svc) {
			c.t.Fatalf("an update that changes nothing: %v", c.svc)
		}
	case Delete:
		c.svc = nil
	default:
		c.t.Fatalf("%s of a Service", a.Verb)
	}
}

// putService stores s with addresses, as the API server does, and refuses what it refuses.
func (c *consumer) putService(s *corev1.Service) {
	c.t.Helper()
	checkMeta(c.t, s)
	spec := &s.Spec
	if errs := validation.IsDNS1035Label(s.Name); len(errs) > 0 {
		c.t.Fatalf("name of the Service: %v", errs)
	}
	for _, f := range spec.IPFamilies {
		if !slices.Contains(c.Families, f) {
			c.t.Fatalf("spec.ipFamilies: %s is not configured on this cluster", f)
		}
	}
	if want := 1 + len(spec.IPFamilies)/2; (*spec.IPFamilyPolicy == corev1.IPFamilyPolicyRequireDualStack) != (want == 2) {
		c.t.Fatalf("ipFamilyPolicy %s with %v", *spec.IPFamilyPolicy, spec.IPFamilies)
	}
	if spec.InternalTrafficPolicy != nil && c.Drops["service.spec.internalTrafficPolicy"] || spec.TrafficDistribution != nil && c.Drops["service.spec.trafficDistribution"] {
		c.t.Fatal("the Service has a field that the API server does not know")
	}
	if d := spec.TrafficDistribution; d != nil && !slices.Contains([]string{"PreferClose", "PreferSameZone", "PreferSameNode"}, *d) {
		c.t.Fatalf("spec.trafficDistribution: Unsupported value: %q", *d)
	}
	c.checkPorts(spec)
	if spec.ClusterIP != corev1.ClusterIPNone {
		for i := len(spec.ClusterIPs); i < len(spec.IPFamilies); i++ {
			spec.ClusterIPs = append(spec.ClusterIPs, c.allocate(spec.IPFamilies[i]))
		}
		spec.ClusterIP = spec.ClusterIPs[0]
		for i, ip := range spec.ClusterIPs {
			if netip.MustParseAddr(ip).Is4() != (spec.IPFamilies[i] == corev1.IPv4Protocol) {
				c.t.Fatalf("clusterIPs %v with ipFamilies %v", spec.ClusterIPs, spec.IPFamilies)
			}
		}
	}
	c.stamp(s)
	c.svc = s
}

func (c *consumer) checkPorts(spec *corev1.ServiceSpec) {
	c.t.Helper()
	if spec.ClusterIP != corev1.ClusterIPNone && len(spec.Ports) == 0 {
		c.t.Fatal("spec.ports: Required value")
	}
	names, slots := make(map[string]bool), make(map[string]bool)
	for _, p := range spec.Ports {
		slot := fmt.Sprint(p.Protocol, p.Port)
		if names[p.Name] || slots[slot] || p.Name == "" && len(spec.Ports) > 1 {
			c.t.Fatalf("spec.ports: %+v is a duplicate or lacks a name", p)
		}
		if p.Name != "" && len(validation.IsDNS1123Label(p.Name)) > 0 {
			c.t.Fatalf("spec.ports: name %q", p.Name)
		}
		names[p.Name], slots[slot] = true, true
	}
}

func (c *consumer) allocate(f corev1.IPFamily) string {
	c.address++
	if f == corev1.IPv6Protocol {
		return fmt.Sprintf("fd00:96::%x", c.address)
	}
	return fmt.Sprintf("10.96.0.%d", c.address)
}

func (c *consumer) applySlice(a *Action, o *discoveryv1.EndpointSlice) {
	c.t.Helper()
	held := c.slices[o.Name]
	if len(a.Patch) > 0 || a.Verb != Create && (held == nil || o.UID != held.UID || o.ResourceVersion != held.ResourceVersion) {
		c.t.Fatalf("%s of a slice that is not as it is held", a.Verb)
	}
	switch a.Verb {
	case Create:
		if held != nil {
			c.t.Fatalf("slice %s exists", o.Name)
		}
	case Update:
		if held.AddressType != o.AddressType {
			c.t.Fatal("addressType: field is immutable")
		}
	case Delete:
		delete(c.slices, o.Name)
		return
	default:
		c.t.Fatalf("%s of a slice", a.Verb)
	}
	next := roundTrip(c.t, o)
	checkMeta(c.t, next)
	names := make(map[string]bool)
	for _, p := range next.Ports {
		if p.Name == nil || p.Protocol == nil || names[*p.Name] {
			c.t.Fatalf("ports of slice %s: %+v is a duplicate or needs defaulting", next.Name, p)
		}
		names[*p.Name] = true
	}
	for _, r := range next.OwnerReferences {
		if c.imp == nil || r.UID != c.imp.UID || r.APIVersion != mcsapi.Group+"/"+c.ImportVersion {
			c.t.Fatalf("slice %s is owned by %+v", next.Name, r)
		}
	}
	if held != nil {
		same := held.DeepCopy()
		same.ResourceVersion = next.ResourceVersion
		if reflect.DeepEqual(same, next) {
			c.t.Fatalf("an update that changes nothing: %v", next)
		}
	}
	c.stamp(next)
	c.slices[o.Name] = next
}
