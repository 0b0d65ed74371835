package mcsapi

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

// Wellformed says why no honest API server holds an object of this name and namespace; nil if one may. Names are DNS
// subdomains, namespaces DNS labels (RFC 1123); an object is in a namespace if its kind is namespaced, and only then; and its
// resourceVersion is short. What comes from another cluster's API server is asked here before it is used as a key of anything (SPEC X2).
func Wellformed(o metav1.Object, namespaced bool) error {
	if n := len(o.GetResourceVersion()); n > kubeclient.VersionBytes {
		return fmt.Errorf("no object can have a resourceVersion of %d bytes", n)
	}
	name, namespace := o.GetName(), o.GetNamespace()
	if IsSubdomain(name) && (namespaced && IsLabel(namespace) || !namespaced && namespace == "") {
		return nil
	}
	return fmt.Errorf("no object can have the name %.80q in the namespace %.80q", name, namespace)
}

// OnlyWellformed returns those of the objects of a list that [Wellformed] does not object to. It reuses the list.
func OnlyWellformed[T any, P interface {
	*T
	metav1.Object
}](list []T, namespaced bool) []T {
	return slices.DeleteFunc(list, func(o T) bool { return Wellformed(P(&o), namespaced) != nil })
}

const (
	maxLabel     = 63
	maxSubdomain = 253
)

// IsLabel reports whether s is a DNS label in lower case.
func IsLabel(s string) bool { return len(s) <= maxLabel && isPart(s) }

// IsSubdomain reports whether s is a DNS name in lower case. Like Kubernetes it does not bound the length of one label.
func IsSubdomain(s string) bool {
	if len(s) > maxSubdomain {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !isPart(part) {
			return false
		}
	}
	return true
}

func isPart(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
