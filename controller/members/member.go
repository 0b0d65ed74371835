package members

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/ranges"
)

// Member is one cluster of the set. Its reads come from memory, never wait, and return what was last known while the
// cluster is away; objects that they return are read-only. All methods may be called at any time, also after it left.
type Member struct {
	set     *Set
	handler Handler
	log     *slog.Logger
	opts    Options
	order   uint64 // of joining: who came first keeps what two claim
	joined  time.Time

	// conn is the connection that readers use; nil until the first contact.
	conn     atomic.Pointer[connection]
	standing atomic.Int32
	arrivals arrivals
	limits   tryLimits
	declared declaredRanges
	// asProvider and asConsumer hold off kinds that come and go, for each role.
	asProvider, asConsumer holdOff

	mu        sync.Mutex
	reg       registration.Registration
	limited   uint64          // counts changes of reg.Limits
	ctx       context.Context // ends when the member leaves
	leave     context.CancelFunc
	running   sync.WaitGroup
	stopLive  context.CancelFunc // ends conn
	candidate *connection        // to replace conn
	stopNext  context.CancelFunc // ends candidate
	provider  bool               // last told
	consumer  bool               // last told
	version   string             // of imports, last told

	malformedKinds map[string]bool // those reported, see [Member.malformed]
}

// ID returns the cluster id.
func (m *Member) ID() string { return m.Registration().ID }

// Registration returns what the source says of the member at present.
func (m *Member) Registration() registration.Registration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reg
}

// limitsChanged returns how often the limits of the member have changed.
func (m *Member) limitsChanged() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limited
}

// mayExport says whether the member may export from a namespace.
func (m *Member) mayExport(namespace string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reg.Limits.MayExport(namespace)
}

// ProviderSynced says whether the exports, Services and slices of a provider are all known. While it is false, nothing may
// be concluded from what Export, Service and SourceSlices don't return (SPEC L3).
func (m *Member) ProviderSynced() bool {
	c := m.conn.Load()
	return c != nil && c.providerSynced() && m.asProvider.present()
}

// ConsumerSynced says whether the imports, Services, imported slices, namespaces and IP families of a consumer are all
// known.
func (m *Member) ConsumerSynced() bool {
	c := m.conn.Load()
	return c != nil && c.consumerSynced() && m.asConsumer.present()
}

// Gate returns the gate of the pages that are read of the cluster, by whoever reads them; nil before the first contact.
func (m *Member) Gate() follow.Gate {
	if c := m.conn.Load(); c != nil {
		return mirror.NewGate(c.pages)
	}
	return nil
}

// Export returns the ServiceExport of a name, as far as [keep.Export] keeps it, or nil.
func (m *Member) Export(key types.NamespacedName) *mcs.ServiceExport {
	if c := m.conn.Load(); c != nil {
		if s := c.exports.Read(); s != nil {
			return s.Get(key)
		}
	}
	return nil
}

// eachExport calls f for every export of the member. f must not use the member.
func (m *Member) eachExport(f func(types.NamespacedName, *mcs.ServiceExport)) {
	if c := m.conn.Load(); c != nil {
		if s := c.exports.Read(); s != nil {
			s.Each(f)
		}
	}
}

// ExportDoubted says that an export which Export returns is absent from the cluster, as far as is known, but not for long
// enough to be believed gone (SPEC L6).
func (m *Member) ExportDoubted(key types.NamespacedName) bool {
	c := m.conn.Load()
	if c == nil {
		return false
	}
	s := c.exports.Read()
	return s != nil && s.Doubts(key)
}

// Knows says whether all that belongs to the export of a name is known. It is false while [Member.ProviderSynced] is, and for
// a moment after the export appeared: nothing may be concluded then from what Service and SourceSlices don't return.
func (m *Member) Knows(key types.NamespacedName) bool {
	c := m.conn.Load()
	return c != nil && m.ProviderSynced() && c.knows(key)
}

// Service returns the Service of a name, or nil, if the name is exported, or that of a derived Service or begins like one. A derived
// Service of an importing cluster is whole; of others there is what [keep.Service] keeps.
func (m *Member) Service(key types.NamespacedName) *corev1.Service {
	if c := m.conn.Load(); c != nil {
		return c.services.Store.Get(key)
	}
	return nil
}

// SourceSlices returns the EndpointSlices of a Service that are the cluster's own, sorted by name.
func (m *Member) SourceSlices(key types.NamespacedName) []*discoveryv1.EndpointSlice {
	if c := m.conn.Load(); c != nil {
		return sorted(c.sources.Store.Of(key))
	}
	return nil
}

// FurtherSlices says why some slices of a Service are not among SourceSlices, which a member has no room for (SPEC X6); "" if all are.
func (m *Member) FurtherSlices(key types.NamespacedName) string {
	if c := m.conn.Load(); c != nil {
		if by, are := c.sources.Store.LeftOut(key); are {
			return keep.FurtherSlices(by)
		}
	}
	return ""
}

// Import returns the ServiceImport of a name, or nil.
func (m *Member) Import(key types.NamespacedName) *mcs.ServiceImport {
	if c := m.conn.Load(); c != nil {
		if s := c.imports.Read(); s != nil {
			return s.Get(key)
		}
	}
	return nil
}

// ImportedSlices returns the EndpointSlices of a multi-cluster service that this clusterset manages, sorted by name.
func (m *Member) ImportedSlices(key types.NamespacedName) []*discoveryv1.EndpointSlice {
	c := m.conn.Load()
	if c == nil {
		return nil
	}
	return sorted(slices.DeleteFunc(c.imported.Store.Of(key), func(s *discoveryv1.EndpointSlice) bool {
		return s.Labels[mcsapi.LabelClusterSet] != m.opts.ClusterSet
	}))
}

// NamespaceActive says whether the namespace exists and is not about to go.
func (m *Member) NamespaceActive(name string) bool {
	c := m.conn.Load()
	return c != nil && active(c.namespaces.Store.Get(types.NamespacedName{Name: name}))
}

// Families returns the IP families of the cluster's Service addresses, the primary one first; nil until ConsumerSynced.
func (m *Member) Families() []corev1.IPFamily {
	if c := m.conn.Load(); c != nil {
		if r := c.ranges.Load(); r != nil {
			return r.families
		}
	}
	return nil
}

// ServiceRanges returns the ranges of the cluster's Service addresses. Where the cluster does not tell, they are those of its
// limits; where those have none, the addresses that its Services hold (SPEC X2).
func (m *Member) ServiceRanges() ranges.Set {
	c := m.conn.Load()
	if c != nil {
		if r := c.ranges.Load(); r != nil && !r.addresses.Empty() {
			return r.addresses
		}
	}
	if declared := m.declared.of(m.Registration().Limits.ServiceCIDRs); c == nil || !declared.Empty() {
		return declared
	}
	return c.held.of(c.services.Store)
}

// Keys returns every name that the member knows something of: exports, imports, imported slices, derived Services. Sorted.
func (m *Member) Keys() []types.NamespacedName {
	c := m.conn.Load()
	if c == nil {
		return nil
	}
	keys := map[types.NamespacedName]struct{}{}
	note := func(key types.NamespacedName) { keys[key] = struct{}{} }
	if s := c.exports.Read(); s != nil {
		s.Each(func(key types.NamespacedName, _ *mcs.ServiceExport) { note(key) })
	}
	if s := c.imports.Read(); s != nil {
		s.Each(func(key types.NamespacedName, _ *mcs.ServiceImport) { note(key) })
	}
	c.imported.Store.EachGroup(note)
	c.services.Store.EachGroup(note)
	list := make([]types.NamespacedName, 0, len(keys))
	for key := range keys {
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b types.NamespacedName) int {
		if n := strings.Compare(a.Namespace, b.Namespace); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// ImportVersion returns the served version of ServiceImport that is in use, or "".
func (m *Member) ImportVersion() string {
	if c := m.conn.Load(); c != nil {
		return c.imports.Version()
	}
	return ""
}

// Kube returns the client of the core kinds; nil until the first contact.
func (m *Member) Kube() kubernetes.Interface {
	if c := m.conn.Load(); c != nil {
		return c.kube
	}
	return nil
}

// Imports returns the client of ServiceImports, at [Member.ImportVersion]; nil until the first contact.
func (m *Member) Imports() rest.Interface {
	if c := m.conn.Load(); c != nil {
		return c.imports.Client()
	}
	return nil
}

// Exports returns the client of ServiceExports, at the version that is in use; nil until the first contact.
func (m *Member) Exports() rest.Interface {
	if c := m.conn.Load(); c != nil {
		return c.exports.Client()
	}
	return nil
}

// Wrote lets reads see an object as the API server answered it, before the watch does. It is not copied.
func (m *Member) Wrote(obj metav1.Object) {
	c := m.conn.Load()
	if c == nil {
		return
	}
	switch o := obj.(type) {
	case *mcs.ServiceExport:
		wrote(c.exports.Read(), exportKind(nil, "").Trim, o)
	case *mcs.ServiceImport:
		wrote(c.imports.Read(), importKind(nil, "").Trim, o)
	case *corev1.Service:
		wrote(c.services.Store, c.services.Kind.Trim, o)
	case *discoveryv1.EndpointSlice:
		wrote(c.imported.Store, c.imported.Kind.Trim, o)
	}
}

func wrote[T mirror.Object](s *mirror.Store[T], trim func(T), o T) {
	if s != nil && mcsapi.Wellformed(o, true) == nil {
		trim(o)
		s.Wrote(o)
	}
}

// Deleted lets reads see that an object, told by its UID, was deleted, before the watch does.
func (m *Member) Deleted(obj metav1.Object) {
	c := m.conn.Load()
	if c == nil {
		return
	}
	switch obj.(type) {
	case *mcs.ServiceImport:
		if s := c.imports.Read(); s != nil {
			s.Deleted(obj)
		}
	case *corev1.Service:
		c.services.Store.Deleted(obj)
	case *discoveryv1.EndpointSlice:
		c.imported.Store.Deleted(obj)
	}
}

// contact returns what the last probe of the connection in use found; the zero value before the first contact.
func (m *Member) contact() contact {
	if c := m.conn.Load(); c != nil {
		return *c.heard.Load()
	}
	return contact{}
}

func sorted[T mirror.Object](list []T) []T {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list
}

func active(n *corev1.Namespace) bool {
	return n != nil && n.DeletionTimestamp == nil && n.Status.Phase != corev1.NamespaceTerminating
}
