// Package provider is an API server that serves what a provider cluster is read for, and nothing else: the lists and watches
// of ServiceExports, Services and EndpointSlices, discovery, and the namespace kube-system. Hundreds of them fit into one
// process, since what nobody changed is made while it is served. That a controller can't tell it from a kube-apiserver is
// held by a test, which asks the same of both.
package provider

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Namespace is where everything is.
const Namespace = "bench"

// Cluster is one provider. It has a Service with one slice per name; some are exported.
type Cluster struct {
	ID        string
	Number    int // below 200; begins the addresses
	Endpoints int // per Service, unless changed

	services []string       // names, sorted
	at       map[string]int // their places
	down     atomic.Bool
	watches  atomic.Int64
	requests atomic.Int64

	mu      sync.Mutex
	version int               // the resource version of the last event
	exports map[string]change // by exported name, the last change of its export
	changed map[string]change // by Service, the last change of its slice
	log     []happened        // all events since the version oldest
	oldest  int
	waiting chan struct{} // closed at the next event
}

// change is the last change of an object: of a slice, which left it with one endpoint; or of an export.
type change struct {
	version int
	address string
	created int64 // a creationTimestamp that is not the cluster's own, in Unix time
}

// happened is one event of a watch: what became of the object of a kind and name.
type happened struct {
	kind, verb, name string
	change
}

// first is the resource version of what never changed.
const first = 1000

// New returns a cluster that nobody changed: with the exported Services, and as many others.
func New(id string, number int, exported []string, others, endpoints int) *Cluster {
	c := &Cluster{
		ID: id, Number: number, Endpoints: endpoints, services: slices.Clone(exported), at: map[string]int{},
		version: first, oldest: first, exports: map[string]change{}, changed: map[string]change{}, waiting: make(chan struct{}),
	}
	for _, name := range exported {
		c.exports[name] = change{version: first}
	}
	for n := range others {
		c.services = append(c.services, Other(n))
	}
	slices.Sort(c.services)
	for n, name := range c.services {
		c.at[name] = n
	}
	return c
}

// Name is the name of the nth Service of a benchmark, and Other that of the nth Service that is not exported at first.
func Name(n int) string  { return fmt.Sprintf("service-%05d", n) }
func Other(n int) string { return fmt.Sprintf("other-%05d", n) }

// Watches is the number of watches that are open; Requests that of requests served so far.
func (c *Cluster) Watches() int64  { return c.watches.Load() }
func (c *Cluster) Requests() int64 { return c.requests.Load() }

// Exported are the names that are exported, sorted.
func (c *Cluster) Exported() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.exports))
}

// SetDown makes every request fail and ends all watches, or lets them through again.
func (c *Cluster) SetDown(down bool) {
	c.down.Store(down)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// Forget drops the history, as an API server does that is started anew: watches from before are refused.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.log, c.oldest = nil, c.version
	c.wake()
}

// Change gives the slice of a Service one endpoint, with the address.
func (c *Cluster) Change(service, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed[service] = c.happens("EndpointSlice", "MODIFIED", service, change{address: address})
}

// Export creates the export of a Service.
func (c *Cluster) Export(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exports[service] = c.happens("ServiceExport", "ADDED", service, change{})
}

// ExportAs creates the export of a Service, or changes it, with a creationTimestamp that no API server would give it.
func (c *Cluster) ExportAs(service string, created int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	verb := "ADDED"
	if c.exports[service].version > 0 {
		verb = "MODIFIED"
	}
	c.exports[service] = c.happens("ServiceExport", verb, service, change{created: created})
}

// Unexport deletes the export of a Service.
func (c *Cluster) Unexport(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.exports[service]
	delete(c.exports, service)
	c.happens("ServiceExport", "DELETED", service, last)
}

// happens notes an event, and returns the change with its version. c.mu is held.
func (c *Cluster) happens(kind, verb, name string, what change) change {
	c.version++
	what.version = c.version
	c.log = append(c.log, happened{kind, verb, name, what})
	c.wake()
	return what
}

// wake tells the watches that something happened. c.mu is held.
func (c *Cluster) wake() {
	close(c.waiting)
	c.waiting = make(chan struct{})
}
