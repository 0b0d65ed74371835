package multicluster

import (
	"strings"
	"sync/atomic"

	"github.com/clusterset/multicluster/plugin/decode"
	"github.com/clusterset/multicluster/plugin/view"

	"k8s.io/apimachinery/pkg/util/validation"
)

// zoneLength is the length of the longest zone that a source serves, as text. Names that are too long in it are left out by
// package view, in each zone by itself; here they are found to be told of (SPEC D11).
type zoneLength struct{ atomic.Int32 }

// serve notes zones.
func (l *zoneLength) serve(zones []*zone) {
	for _, z := range zones {
		l.Store(max(l.Load(), int32(len(strings.TrimSuffix(z.Origin, ".")))))
	}
}

// owner returns the length of the name of a service, with a dot at its end.
func (l *zoneLength) owner(namespace, service string) int {
	return len(service) + 1 + len(namespace) + len(".svc.") + int(l.Load()) + 1
}

const beyond = "more than 255 octets (RFC 1035 section 2.3.4): left out"

// checkImport adds what of a service has no place in the longest zone.
func (l *zoneLength) checkImport(namespace, service string, odd *decode.Oddities) {
	if l.owner(namespace, service) > view.MaxName {
		odd.Add("its name has %s", beyond)
	}
}

// checkSlice adds it if endpoints have no name that has a place in the longest zone.
func (l *zoneLength) checkSlice(namespace, service string, slice *view.Slice, odd *decode.Oddities) {
	const most = validation.DNS1123LabelMaxLength + 1 + validation.DNS1123LabelMaxLength + 1 // of the hostname and the cluster, with their dots
	owner := l.owner(namespace, service)
	if owner+most <= view.MaxName {
		return
	}
	if longest := slice.LongestName(); longest > 0 && longest+1+owner > view.MaxName {
		odd.Add("the names of endpoints have %s", beyond)
	}
}
