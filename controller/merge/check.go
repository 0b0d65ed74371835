package merge

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/internal/excerpt"
)

// Check says what in e can't have come from [Of]. It is for exports that were kept where others can write.
func (e *Export) Check() error {
	if !isID(e.Cluster) {
		return fmt.Errorf("%q is not a cluster id", excerpt.Of(e.Cluster, 80))
	}
	if e.Created != timestamp(e.Created) {
		return fmt.Errorf("cluster %s: created %s is not a timestamp in UTC", e.Cluster, e.Created)
	}
	if e.Since != timestamp(e.Since) || !e.Since.IsZero() && e.Since.Sub(e.Created) <= unseenAge {
		return fmt.Errorf("cluster %s: since %s is not when an export was first seen that was created %s", e.Cluster, e.Since, e.Created)
	}
	if e.Truncated {
		if !reflect.DeepEqual(*e, e.Truncate()) {
			return fmt.Errorf("cluster %s: truncated, with more than its age", e.Cluster)
		}
		return nil
	}
	for i := range e.Ports {
		if e.Ports[i].Protocol == "" {
			return fmt.Errorf("cluster %s: port %d has no protocol", e.Cluster, e.Ports[i].Number)
		}
	}
	if _, why := acceptPorts(e.servicePorts()); why != "" {
		return fmt.Errorf("cluster %s: %s", e.Cluster, why)
	}
	if err := e.checkScalars(); err != nil {
		return fmt.Errorf("cluster %s: %w", e.Cluster, err)
	}
	if err := e.checkChoice(); err != nil {
		return fmt.Errorf("cluster %s: %w", e.Cluster, err)
	}
	size := 0
	for k, v := range e.Labels {
		size += len(k) + len(v)
		if badLabel(k, v) != "" {
			return fmt.Errorf("cluster %s: label %s is not one that is exported", e.Cluster, excerpt.Of(k, 80))
		}
	}
	for k, v := range e.Annotations {
		size += len(k) + len(v)
		if badAnnotation(k, v) != "" {
			return fmt.Errorf("cluster %s: annotation %s is not one that is exported", e.Cluster, excerpt.Of(k, 80))
		}
	}
	if size > MaxExportedBytes {
		return fmt.Errorf("cluster %s: %d bytes of labels and annotations", e.Cluster, size)
	}
	return nil
}

// Truncate returns what is remembered of an export for which there is too little room.
func (e *Export) Truncate() Export {
	return Export{Cluster: e.Cluster, Created: e.Created, Since: e.Since, Truncated: true}
}

func (s *Service) checkScalars() error {
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		if s.AffinityTimeout != nil {
			return fmt.Errorf("a timeout without session affinity")
		}
	case corev1.ServiceAffinityClientIP:
		if s.AffinityTimeout == nil || !accept.AffinityTimeout(*s.AffinityTimeout) {
			return fmt.Errorf("no valid timeout of the session affinity")
		}
	default:
		return fmt.Errorf("session affinity %q", excerpt.Of(string(s.SessionAffinity), 80))
	}
	if !accept.TrafficPolicy(s.InternalTrafficPolicy) {
		return fmt.Errorf("internal traffic policy %q", excerpt.Of(string(s.InternalTrafficPolicy), 80))
	}
	if !accept.TrafficDistribution(s.TrafficDistribution) {
		return fmt.Errorf("traffic distribution %q", excerpt.Of(s.TrafficDistribution, 80))
	}
	for i, f := range s.IPFamilies {
		if !accept.Family(f) || slices.Contains(s.IPFamilies[:i], f) {
			return fmt.Errorf("IP families %q", s.IPFamilies)
		}
	}
	return nil
}

func (s *Service) servicePorts() []corev1.ServicePort {
	out := make([]corev1.ServicePort, len(s.Ports))
	for i, p := range s.Ports {
		out[i] = corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Number, AppProtocol: &p.AppProtocol}
	}
	return out
}

// timestamp is t as it survives being kept: in UTC, whole seconds as API servers have them, and zero if it is in no year
// that RFC 3339 can write.
func timestamp(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
