// Package view is what DNS knows of a clusterset: for each multi-cluster service one immutable [Service], replaced as a
// whole whenever its ServiceImport or one of its EndpointSlices changes, and looked up by name without a lock.
//
// The package decides which records exist (KEP-1645, "DNS specification" 1.0.0): addresses and SRV of ClusterSetIP and
// headless services, names of endpoints, and which names without records exist nevertheless. It keeps addresses packed
// and builds resource records when a name is first asked for, then shares them, read-only, between all answers.
//
// It never speaks to Kubernetes, to a client or to a clock, and it never logs: what goes in was checked by the caller.
package view

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// View is the table of all services. Any number of readers may use it while one or more writers change it; readers see
// each service either before or after a change, never in between.
type View struct {
	services *table
	// namespaces holds the namespaces with at least one import: <ns>.svc.<zone> exists while it does (RFC 4592).
	namespaces atomic.Pointer[set]
	changes    atomic.Uint64
	keeper     *keeper

	mu         sync.Mutex          // held by writers; guards what follows
	owners     map[SliceKey]string // which service a slice belongs to, for slices that change their label
	population map[string]int      // imports per namespace
	imports    int
	headless   int
	endpoints  int
}

type set map[string]struct{}

// SliceKey identifies an EndpointSlice, by a name that is its own among all that are put into a view.
type SliceKey struct{ Namespace, Name string }

// New returns an empty view.
func New() *View {
	v := &View{services: newTable(), keeper: &keeper{}, owners: map[SliceKey]string{}, population: map[string]int{}}
	v.namespaces.Store(&set{})
	v.keeper.join(v)
	return v
}

// Clone returns a view of the same services, which changes by itself from then on. The services are shared: they never change.
func (v *View) Clone() *View {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := &View{
		services: v.services.clone(), owners: maps.Clone(v.owners), population: maps.Clone(v.population),
		imports: v.imports, headless: v.headless, endpoints: v.endpoints, keeper: v.keeper,
	}
	c.keeper.join(c)
	c.namespaces.Store(v.namespaces.Load())
	c.changes.Store(v.changes.Load())
	return c
}

// Service returns the service that key names ("name.namespace", lower case), or nil where nothing imports it.
func (v *View) Service(key string) *Service {
	if s := v.services.get(key); s != nil && s.imported {
		return s
	}
	return nil
}

// HasNamespace reports whether any service is imported in the namespace.
func (v *View) HasNamespace(name string) bool {
	_, ok := (*v.namespaces.Load())[name]
	return ok
}

// Changes counts the changes that some answer shows. It stays the same when an update changes no answer.
func (v *View) Changes() uint64 { return v.changes.Load() }

// Counts are the sizes of a view.
type Counts struct{ ClusterSetIP, Headless, Endpoints int }

// Counts returns how many services are imported, by type, and how many ready endpoint addresses are held.
func (v *View) Counts() Counts {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Counts{ClusterSetIP: v.imports - v.headless, Headless: v.headless, Endpoints: v.endpoints}
}

// Snapshot returns all imported services of one moment, sorted by key.
func (v *View) Snapshot() []*Service {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]*Service, 0, v.imports)
	for s := range v.services.all() {
		if s.imported {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Service) int { return strings.Compare(a.key, b.key) })
	return all
}

// Forget drops the records that were built: zones of them may have gone, or they are too many to keep.
func (v *View) Forget() {
	for s := range v.services.all() {
		s.forget()
	}
}

// SetImport adds or replaces the import of the service namespace/name.
func (v *View) SetImport(namespace, name string, imp Import) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := serviceKey(namespace, name)
	imp.Ports = sortedPorts(imp.Ports)
	old := v.services.get(key)
	if old != nil && old.imported && old.Import.equal(&imp) {
		return
	}
	v.put(old, old.withImport(key, &imp))
}

// DeleteImport removes the import of the service namespace/name, if there is one.
func (v *View) DeleteImport(namespace, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if old := v.services.get(serviceKey(namespace, name)); old != nil && old.imported {
		v.put(old, old.withImport(old.key, nil))
	}
}

// SetSlice adds or replaces an EndpointSlice, which belongs to the service namespace/service from now on.
func (v *View) SetSlice(namespace, service string, s *Slice) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key, id := serviceKey(namespace, service), SliceKey{namespace, s.name}
	if owner, ok := v.owners[id]; ok && owner != key {
		v.dropSlice(id, owner)
	}
	old := v.services.get(key)
	before := old.slice(s.name)
	if before != nil && before.equal(s) {
		return
	}
	next := old.withSlice(key, s)
	v.owners[SliceKey{namespace, s.name}] = next.key
	v.endpoints += s.len() - before.len()
	v.put(old, next)
}

// DeleteSlice removes an EndpointSlice, if the view holds it.
func (v *View) DeleteSlice(namespace, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := SliceKey{namespace, name}
	if owner, ok := v.owners[id]; ok {
		v.dropSlice(id, owner)
	}
}

// RetainImports deletes every import that keep does not name ("name.namespace").
func (v *View) RetainImports(keep map[string]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.services.all() {
		if _, ok := keep[s.key]; !ok && s.imported {
			v.put(s, s.withImport(s.key, nil))
		}
	}
}

// RetainSlices deletes every EndpointSlice whose name has the prefix and that keep does not name.
func (v *View) RetainSlices(prefix string, keep map[SliceKey]struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, owner := range v.owners {
		if _, ok := keep[id]; !ok && strings.HasPrefix(id.Name, prefix) {
			v.dropSlice(id, owner)
		}
	}
}

func (v *View) dropSlice(id SliceKey, owner string) {
	delete(v.owners, id)
	old := v.services.get(owner)
	v.endpoints -= old.slice(id.Name).len()
	v.put(old, old.withoutSlice(id.Name))
}

// put replaces old by next, which have the same key; old may be nil, next may be of no use any more.
func (v *View) put(old, next *Service) {
	next.keeper = v.keeper
	v.services.set(next)
	if was, is := old != nil && old.imported, next.imported; is != was {
		v.populate(next.Namespace(), is)
	}
	v.imports += next.weigh(false) - old.weigh(false)
	v.headless += next.weigh(true) - old.weigh(true)
	if differ(old, next) {
		v.changes.Add(1)
	}
}

// populate counts one import more, or one less, in a namespace.
func (v *View) populate(namespace string, more bool) {
	if more {
		v.population[namespace]++
	} else {
		v.population[namespace]--
	}
	n := v.population[namespace]
	if n > 1 || n == 1 && !more {
		return // it existed before, and still does
	}
	names := maps.Clone(*v.namespaces.Load())
	if n == 0 {
		delete(names, namespace)
		delete(v.population, namespace)
	} else {
		names[namespace] = struct{}{}
	}
	v.namespaces.Store(&names)
}

func serviceKey(namespace, name string) string { return name + "." + namespace }
