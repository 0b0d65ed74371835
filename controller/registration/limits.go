package registration

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Limits are what a member is trusted with (SPEC X2, X3). They can change at any time, and the member stays.
type Limits struct {
	// EndpointCIDRs are the ranges in which its endpoints may be; empty: any. They are what somebody declares. The ranges that
	// its nodes have at some time are no such thing: nodes come and go, and some networks have ranges of their own.
	EndpointCIDRs []netip.Prefix
	// ServiceCIDRs are the ranges of its Service addresses, where the cluster does not tell them itself.
	ServiceCIDRs []netip.Prefix
	// Exports are the namespaces that it may export from; nil: all. Imports are those that services are imported into; nil:
	// all but kube-system and its like.
	Exports, Imports Namespaces
	// Keys are the labels and annotations with a domain that its exports may set on what is made of them; nil: none (SPEC X5).
	Keys Keys
}

// Namespaces are names, and prefixes with a * behind, which stands for anything. Namespaces that begin with "kube-" must be
// meant: they match only what begins so, too.
type Namespaces []string

// MayExport says whether the member may export from a namespace.
func (l *Limits) MayExport(namespace string) bool {
	return l.Exports == nil || l.Exports.match(namespace)
}

// NotExported says for people why exports of a namespace that [Limits.MayExport] excludes are not heeded from the cluster with
// an id.
func (l *Limits) NotExported(id, namespace string) string {
	return fmt.Sprintf("cluster %s may not export from namespace %s, only from %s", id, namespace, strings.Join(l.Exports, ", "))
}

// MayImport says whether services of a namespace are imported into the member.
func (l *Limits) MayImport(namespace string) bool {
	if l.Imports == nil {
		return Namespaces{"*"}.match(namespace)
	}
	return l.Imports.match(namespace)
}

// Keys are keys of labels and annotations such as "example.com/team", domains such as "example.com", which stand for all keys
// of that domain, and domains below one, such as "*.example.com"; "*" alone is every domain.
type Keys []string

// MayExportKey reports whether an exported label or annotation of the member with this key reaches the importing clusters.
// Most domains belong to some controller, which would take its orders from another cluster; a key without a domain belongs
// to none (SPEC X5). Domains that nobody may export are refused before that (SPEC E4).
func (l *Limits) MayExportKey(key string) bool {
	domain, name, qualified := strings.Cut(key, "/")
	if !qualified {
		return true
	}
	domain = strings.ToLower(domain) // as API servers take that of an annotation
	return slices.ContainsFunc(l.Keys, func(pattern string) bool {
		parent, below := strings.CutPrefix(pattern, "*")
		return pattern == domain || pattern == domain+"/"+name || below && strings.HasSuffix(domain, parent)
	})
}

func (n Namespaces) match(namespace string) bool {
	return slices.ContainsFunc(n, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return meant(pattern, namespace) && (pattern == namespace || open && strings.HasPrefix(namespace, prefix))
	})
}

// meant says whether a pattern may match the namespace at all.
func meant(pattern, namespace string) bool {
	return !strings.HasPrefix(namespace, systemPrefix) || strings.HasPrefix(pattern, systemPrefix)
}

// systemPrefix begins the names of the namespaces that belong to Kubernetes.
const systemPrefix = "kube-"

// Names of the limits: those of the flags, and with [mcsapi.Domain] before them those of the annotations on a member's Secret.
const (
	LimitEndpointCIDRs    = "endpoint-cidrs"
	LimitServiceCIDRs     = "service-cidrs"
	LimitExportNamespaces = "export-namespaces"
	LimitImportNamespaces = "import-namespaces"
	LimitExportedKeys     = "exported-keys"
)

// LimitNames are all names of limits.
var LimitNames = []string{LimitEndpointCIDRs, LimitServiceCIDRs, LimitExportNamespaces, LimitImportNamespaces, LimitExportedKeys}

// Set sets a limit by its name to a list joined by commas.
func (l *Limits) Set(name, list string) (err error) {
	switch name {
	case LimitEndpointCIDRs:
		l.EndpointCIDRs, err = parseCIDRs(list)
	case LimitServiceCIDRs:
		l.ServiceCIDRs, err = parseCIDRs(list)
	case LimitExportNamespaces:
		l.Exports, err = parseNamespaces(list)
	case LimitImportNamespaces:
		l.Imports, err = parseNamespaces(list)
	case LimitExportedKeys:
		l.Keys, err = parseKeys(list)
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

func parseNamespaces(list string) (Namespaces, error) {
	var out Namespaces
	for _, text := range strings.Split(list, ",") {
		pattern := strings.TrimSpace(text)
		// What a namespace could begin with is one, with a letter behind.
		example, open := strings.CutSuffix(pattern, "*")
		if open {
			example += "x"
		}
		if len(validation.IsDNS1123Label(example)) > 0 {
			return nil, fmt.Errorf("want names of namespaces, or prefixes with * behind, such as shop,team-*")
		}
		out = append(out, pattern)
	}
	return out, nil
}

func parseKeys(list string) (Keys, error) {
	var out Keys
	for _, text := range strings.Split(list, ",") {
		pattern := strings.TrimSpace(text)
		domain, name, qualified := strings.Cut(pattern, "/")
		domain = strings.ToLower(domain)
		bad := qualified && len(validation.IsQualifiedName(domain+"/"+name)) > 0
		if below, open := strings.CutPrefix(domain, "*."); open && !qualified {
			bad = len(validation.IsDNS1123Subdomain(below)) > 0
		} else if domain != "*" || qualified {
			bad = bad || len(validation.IsDNS1123Subdomain(domain)) > 0
		}
		if bad {
			return nil, fmt.Errorf("want domains, keys, or * before a domain, such as example.com,example.org/team,*.example.net")
		}
		if qualified {
			domain += "/" + name
		}
		out = append(out, domain)
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

func (l *Limits) Equal(o *Limits) bool {
	return slices.Equal(l.EndpointCIDRs, o.EndpointCIDRs) && slices.Equal(l.ServiceCIDRs, o.ServiceCIDRs) &&
		slices.Equal(l.Exports, o.Exports) && slices.Equal(l.Imports, o.Imports) &&
		slices.Equal(l.Keys, o.Keys)
}
