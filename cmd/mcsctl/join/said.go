package join

import (
	"cmp"
	"encoding/json"
	"maps"
	"strings"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// AnnotationSaid, on a Secret that registers a member, holds as JSON what a person said with flags when the cluster joined, so that
// joining again does not take back what cannot be read off the registration: that endpoints may have any address, say, or which
// role was not merely the default. The controller does not read it.
const AnnotationSaid = mcsapi.Domain + "/joined-with"

// The flags that are remembered. An empty value forgets what was said before.
const (
	flagRole      = "role"
	flagServer    = "server"
	flagUnchecked = "unchecked" // of that server
	flagPodCIDRs  = "pod-cidrs"
	flagEndpoint  = registration.LimitEndpointCIDRs
)

// Recall completes the request by what was said when the cluster joined before.
func (r *Request) Recall() {
	r.said = remember(r.registered(AnnotationSaid), r.Said)
	r.Role, r.Server = cmp.Or(r.Role, r.said[flagRole]), cmp.Or(r.Server, r.said[flagServer])
	r.Unchecked = r.said[flagUnchecked] == "true"
	if len(r.PodCIDRs) == 0 {
		r.PodCIDRs, _ = ParseCIDRs(strings.Split(r.said[flagPodCIDRs], ","))
	}
}

// remember returns what stands of earlier words, as the annotation has them, after new ones. Ranges of endpoints are a limit of the
// registration, where anybody can change them, so only that there are none is remembered.
func remember(annotation string, now map[string]string) map[string]string {
	var earlier map[string]string
	if json.Unmarshal([]byte(annotation), &earlier) != nil {
		earlier = nil
	}
	said := map[string]string{}
	maps.Copy(said, earlier)
	if _, again := now[flagServer]; again {
		delete(said, flagUnchecked) // which was about the earlier server
	}
	maps.Copy(said, now)
	maps.DeleteFunc(said, func(flag, value string) bool {
		switch flag {
		case flagRole:
			return ParseRole(value) != nil
		case flagEndpoint:
			return value != AnyEndpoints
		case flagUnchecked:
			return value != "true"
		case flagServer, flagPodCIDRs:
			return value == ""
		}
		return true
	})
	return said
}

// registered returns an annotation of the Secret that registers the cluster already, or "".
func (r *Request) registered(annotation string) string {
	for i := range r.Set.Secrets {
		if s := &r.Set.Secrets[i]; s.Labels[registration.LabelMember] == r.ID {
			return s.Annotations[annotation]
		}
	}
	return ""
}
