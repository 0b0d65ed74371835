package members

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file says which names a change of an object concerns.

func (m *Member) exportChanged(before, after *mcs.ServiceExport) {
	if after == nil {
		m.arrivals.forget(mirror.KeyOf(before))
	}
	m.handler.Changed(m, mirror.KeyOf(either(before, after)))
}

func (m *Member) importChanged(before, after *mcs.ServiceImport) {
	m.handler.Changed(m, mirror.KeyOf(either(before, after)))
}

func (m *Member) sourceChanged(before, after *discoveryv1.EndpointSlice) {
	m.groupsChanged(bySource, before, after)
}

func (m *Member) importedChanged(before, after *discoveryv1.EndpointSlice) {
	m.groupsChanged(byService, before, after)
}

func (m *Member) groupsChanged(
	group func(*discoveryv1.EndpointSlice) (types.NamespacedName, bool), before, after *discoveryv1.EndpointSlice,
) {
	var told types.NamespacedName
	for _, s := range []*discoveryv1.EndpointSlice{before, after} {
		if s == nil {
			continue
		}
		if key, ok := group(s); ok && key != told {
			m.handler.Changed(m, key)
			told = key
		}
	}
}

// serviceChanged: a Service concerns the export of its name, and the import whose derived Service it is, or whose place it
// takes.
func (m *Member) serviceChanged(before, after *corev1.Service) {
	own := mirror.KeyOf(either(before, after))
	keys := []types.NamespacedName{own}
	for _, s := range []*corev1.Service{before, after} {
		if s == nil {
			continue
		}
		if key, ok := byService(s); ok {
			keys = append(keys, key)
		}
	}
	if name, ok := strings.CutPrefix(own.Name, mcsapi.DerivedPrefix); ok && mcsapi.IsSubdomain(name) {
		keys = append(keys, types.NamespacedName{Namespace: own.Namespace, Name: name})
	}
	if c := m.conn.Load(); c != nil {
		if imports := c.imports.Read(); imports != nil {
			for _, i := range imports.Of(own) {
				keys = append(keys, mirror.KeyOf(i))
			}
		}
	}
	for i, key := range keys {
		if !slices.Contains(keys[:i], key) {
			m.handler.Changed(m, key)
		}
	}
}

func (m *Member) namespaceChanged(before, after *corev1.Namespace) {
	if active(before) != active(after) {
		m.handler.NamespaceChanged(m, either(before, after).Name)
	}
}

// either returns after, or before where there is no after.
func either[T mirror.Object](before, after T) T {
	var absent T
	if after != absent {
		return after
	}
	return before
}
