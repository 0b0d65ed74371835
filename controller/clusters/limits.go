package clusters

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Limits are what a member is trusted with (SPEC X2, X3). They can change at any time, and the member stays.
type Limits struct {
	// EndpointCIDRs are the ranges in which its endpoints may be; empty: any. They are what somebody declares. The ranges that
	// its nodes have at some time are no such thing: nodes come and go, and some networks have ranges of their own.
	EndpointCIDRs []netip.Prefix
	// ServiceCIDRs are the ranges of its Service addresses, where the cluster does not tell them itself.
	ServiceCIDRs []netip.Prefix
}

// Names of the limits: those of the flags, and with [mcsapi.Domain] before them those of the annotations on a member's Secret.
const (
	LimitEndpointCIDRs = "endpoint-cidrs"
	LimitServiceCIDRs  = "service-cidrs"
)

// LimitNames are all names of limits, sorted.
var LimitNames = []string{LimitEndpointCIDRs, LimitServiceCIDRs}

// Set sets a limit by its name to a list joined by commas.
func (l *Limits) Set(name, list string) (err error) {
	switch name {
	case LimitEndpointCIDRs:
		l.EndpointCIDRs, err = parseCIDRs(list)
	case LimitServiceCIDRs:
		l.ServiceCIDRs, err = parseCIDRs(list)
	default:
		err = fmt.Errorf("no such limit; want one of %s", strings.Join(LimitNames, ", "))
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", name, list, err)
	}
	return nil
}

// ParseLimit parses id=list, as the flags have it, of the limit with a name into limits.
func ParseLimit(limits map[string]Limits, name, value string) error {
	id, list, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("%q: want id=list, such as c1=a,b", value)
	}
	if err := ValidID(id); err != nil {
		return err
	}
	l := limits[id]
	if err := l.Set(name, list); err != nil {
		return err
	}
	limits[id] = l
	return nil
}

func parseCIDRs(list string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range strings.Split(list, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("want ranges such as 10.1.0.0/16,fd00:1::/48")
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// limitsOf reads the limits that a Secret's annotations set. A limit that can't be read must not count as none, so it is an
// error.
func limitsOf(secret *corev1.Secret) (Limits, error) {
	var l Limits
	for _, name := range LimitNames {
		if list, ok := secret.Annotations[mcsapi.Domain+"/"+name]; ok {
			if err := l.Set(name, list); err != nil {
				return Limits{}, fmt.Errorf("annotation %s/%w", mcsapi.Domain, err)
			}
		}
	}
	return l, nil
}

func (l *Limits) equal(o *Limits) bool {
	return slices.Equal(l.EndpointCIDRs, o.EndpointCIDRs) && slices.Equal(l.ServiceCIDRs, o.ServiceCIDRs)
}

// limit takes the limits of a registration, and tells if they are others than before. What can't be read changes none.
func (m *Member) limit(reg Registration) {
	m.mu.Lock()
	differ := reg.Err == nil && !reg.Limits.equal(&m.reg.Limits)
	if differ {
		m.reg.Limits = reg.Limits
	}
	m.mu.Unlock()
	if differ {
		m.log.Info("the limits of the member changed")
		m.handler.Synced(m)
	}
}
