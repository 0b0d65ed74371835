// Package controller keeps in every importing cluster what the clusterset exports.
//
// An event of any cluster becomes a key, namespace/name, in the queue of every cluster (DESIGN 2). A worker takes a key and reconciles
// it: gather reads all state of the name from the caches of all members, once for all clusters (snapshot.go); the pure packages resolve,
// merge and plan compute; apply writes. Which event came is never asked. Each cluster has a lane of its own, queue, back-off and workers,
// so that a slow or dead one never delays the others (SPEC L5).
//
// The package never reads from an API server itself, never decides which exports are seen (resolve), what a service looks like (merge)
// or what to write (plan), and never holds connections or credentials (members).
package controller

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
)

// Options configure a [Controller].
type Options struct {
	// ClusterSet is the name that managed objects carry; objects with another are not touched (SPEC X5).
	ClusterSet string
	// Automatic says whether imports are created for every exported service (SPEC I2).
	Automatic bool
	// Withdrawal is what happens to the endpoints of providers that are unreachable past the grace period (SPEC L2).
	Withdrawal liveness.Policy
	// Prefer are the clusters whose endpoints are used first, in order, where neither import nor export says so (SPEC P3).
	Prefer []string
	// Workers is the number of names reconciled at once per cluster.
	Workers int
	// Log receives one record per failure and per change of a cluster's state.
	Log *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Controller is the engine. It implements [members.Handler].
type Controller struct {
	opts      Options
	metrics   *metrics
	snapshots snapshots

	mu    sync.Mutex
	ctx   context.Context // nil until Run: a replica that does not lead keeps no lanes
	set   *members.Set
	lanes map[*members.Member]*lane
	// backlogs are those of the members that are there, while this replica leads.
	backlogs map[*members.Member]*backlog
}

// New returns a controller that does nothing until [Controller.Run].
func New(opts Options) *Controller {
	if opts.Withdrawal == "" {
		opts.Withdrawal = liveness.WithdrawUnlessLast
	}
	return &Controller{
		opts:    opts,
		metrics: newMetrics(opts.Registerer),
		lanes:   map[*members.Member]*lane{}, backlogs: map[*members.Member]*backlog{},
	}
}

// Run reconciles every name of every member of set until ctx ends, and returns once no write is under way. It is to be
// called when this replica leads.
func (c *Controller) Run(ctx context.Context, set *members.Set) error {
	c.mu.Lock()
	c.ctx, c.set = ctx, set
	for _, m := range set.Members() {
		c.open(m)
	}
	c.mu.Unlock()

	<-ctx.Done()

	c.mu.Lock()
	lanes := c.lanes
	for _, b := range c.backlogs {
		b.stop()
	}
	c.ctx, c.lanes, c.backlogs = nil, map[*members.Member]*lane{}, map[*members.Member]*backlog{}
	c.mu.Unlock()
	for _, l := range lanes {
		l.close()
	}
	return nil
}

// open makes the backlog of m, and starts its lane, with everything to do, if something may be written to m: a cluster that is
// only read has nothing that a lane could do, and hundreds of lanes would each look at every change. c.mu is held.
func (c *Controller) open(m *members.Member) {
	if c.ctx == nil {
		return
	}
	if c.backlogs[m] == nil {
		c.backlogs[m] = newBacklog()
	}
	if r := m.Registration(); c.lanes[m] != nil || !r.Consumer && !r.ExportStatus {
		return
	}
	c.lanes[m] = newLane(c.ctx, c, m)
	c.lanes[m].add(everything)
}

// Joined implements [members.Handler].
func (c *Controller) Joined(m *members.Member) {
	c.mu.Lock()
	c.open(m)
	c.mu.Unlock()
	c.all(everything)
}

// Left implements [members.Handler]: what m exported is withdrawn everywhere else (SPEC L3).
func (c *Controller) Left(m *members.Member) {
	c.mu.Lock()
	l := c.lanes[m]
	delete(c.lanes, m)
	if b := c.backlogs[m]; b != nil {
		b.stop()
		delete(c.backlogs, m)
	}
	c.mu.Unlock()
	c.metrics.forget(m.ID())
	if l != nil {
		l.stop()
	}
	c.all(everything)
}

// NamespaceChanged implements [members.Handler]: imports into m follow its namespaces (SPEC I1).
func (c *Controller) NamespaceChanged(m *members.Member, namespace string) {
	c.in(m, within(namespace))
}

// ConsumerChanged implements [members.Handler].
func (c *Controller) ConsumerChanged(m *members.Member) { c.in(m, everything) }

// in puts names into the lane of m, if it has one.
func (c *Controller) in(m *members.Member, names scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lanes[m]; l != nil {
		l.add(names)
	}
}

// Synced implements [members.Handler].
func (c *Controller) Synced(m *members.Member) {
	c.mu.Lock()
	if l := c.lanes[m]; l != nil {
		l.lookAtSchema()
	}
	if b := c.backlogs[m]; b != nil {
		b.stop()
	}
	c.mu.Unlock()
	c.all(everything)
}

// all forgets what was merged for names and puts them into every lane.
func (c *Controller) all(names scope) {
	c.snapshots.forget(names)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake(names)
}

// expand returns the names in a scope that any member knows.
func (c *Controller) expand(names scope) []types.NamespacedName {
	seen := map[types.NamespacedName]bool{}
	var keys []types.NamespacedName
	for _, m := range c.set.Members() {
		for _, k := range m.Keys() {
			if names.holds(k) && !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}
