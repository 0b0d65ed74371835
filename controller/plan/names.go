package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// DerivedName is the name of the Service that carries the ClusterIP of the import called name: the name with a prefix, cut
// and made unique again by a hash where a Service's name would be too long (SPEC I6).
func DerivedName(name string) string {
	full := mcsapi.DerivedPrefix + name
	if len(full) <= validation.DNS1035LabelMaxLength {
		return full
	}
	suffix := "-" + digest(name)[:10]
	return strings.TrimRight(full[:validation.DNS1035LabelMaxLength-len(suffix)], "-.") + suffix
}

// SliceName is the name of the EndpointSlice that mirrors source, a slice of cluster, for the derived Service of that
// name. It begins with the Service's name and a dash, which ingress controllers rely on (SPEC S4). The address type is
// part of it because that of an existing slice can't be changed.
func SliceName(derived, cluster, source string, family discoveryv1.AddressType) string {
	return derived + "-" + digest(cluster, source, string(family))[:16]
}

// digest hashes parts, none of which can hold a NUL, in hexadecimal.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
