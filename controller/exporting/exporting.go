// Package exporting makes ServiceExports by rule in the members that permit it, and takes them back (SPEC P1).
//
// What is to be done about a name is decided by package rules. This package watches what that needs and nobody else does: in
// each member the namespaces, and the Services that a rule selects, by the server's own selection. It is only there when a
// rule was asked for. What exports there are it reads from the caches of package members.
//
// Nothing is deleted on the word of a cache: that a watch shows a Service no more may mean that it lost its label, that it
// was deleted, or that the watch began anew. Before an export is deleted its Service and namespace are asked for (SPEC L6).
package exporting

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/rules"
)

// Exporter is the engine. It implements [members.Handler].
type Exporter struct {
	rules rules.Rules
	log   *slog.Logger

	mu     sync.Mutex
	ctx    context.Context // nil while this replica does not lead
	set    *members.Set
	lanes  map[*members.Member]*lane
	ending sync.WaitGroup // lanes that are about to stop
}

// New returns an exporter that does nothing until [Exporter.Run].
func New(r rules.Rules, log *slog.Logger) *Exporter {
	return &Exporter{rules: r, log: log, lanes: map[*members.Member]*lane{}}
}

// Run keeps the exports of every member of set true to the rules until ctx ends, and returns once no write is under way.
func (x *Exporter) Run(ctx context.Context, set *members.Set) error {
	x.mu.Lock()
	x.ctx, x.set = ctx, set
	x.mu.Unlock()
	for _, m := range set.Members() {
		x.follow(m)
	}
	<-ctx.Done()
	x.mu.Lock()
	lanes := x.lanes
	x.ctx, x.lanes = nil, map[*members.Member]*lane{}
	x.mu.Unlock()
	for _, l := range lanes {
		l.stop()
	}
	x.ending.Wait()
	return nil
}

// follow sees to it that a member has a lane, with its present client, if its exports are ours to write.
func (x *Exporter) follow(m *members.Member) {
	if l := x.lane(m); l != nil {
		l.all() // many names, for which no other member waits
	}
}

// lane returns the lane that a member keeps; nil if it has none, or a new one, which looks at all by itself.
func (x *Exporter) lane(m *members.Member) *lane {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.lanes[m]
	kube, reg := m.Kube(), m.Registration()
	wanted := x.ctx != nil && slices.Contains(x.set.Members(), m) && kube != nil && reg.Provider && reg.ExportStatus
	if l != nil && (!wanted || l.kube != kube) {
		delete(x.lanes, m)
		x.ending.Go(l.stop) // a handler must not wait
		l = nil
	}
	if wanted && l == nil {
		x.lanes[m] = newLane(x.ctx, x, m, kube)
		return nil
	}
	return l
}

// Joined implements [members.Handler].
func (x *Exporter) Joined(m *members.Member) { x.follow(m) }

// Synced implements [members.Handler]: the member can be read now, or otherwise than before.
func (x *Exporter) Synced(m *members.Member) { x.follow(m) }

// Left implements [members.Handler]. What was exported by rule stays: the member may be in another set next.
func (x *Exporter) Left(m *members.Member) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l := x.lanes[m]; l != nil {
		delete(x.lanes, m)
		x.ending.Go(l.stop)
	}
}

// Changed implements [members.Handler]: an export may have come, gone, or been handed over.
func (x *Exporter) Changed(m *members.Member, key types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l := x.lanes[m]; l != nil && (l.selected(key) || x.rules.Made(m.Export(key))) {
		l.queue.Add(key)
	}
}

// NamespaceChanged implements [members.Handler]; lanes watch namespaces themselves, since providers are not told of.
func (x *Exporter) NamespaceChanged(*members.Member, string) {}

// ConsumerChanged implements [members.Handler]; no export depends on an importing cluster.
func (x *Exporter) ConsumerChanged(*members.Member) {}
