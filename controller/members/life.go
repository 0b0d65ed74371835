package members

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file is the life of a member: from its first connection, over other credentials, to its end; and what of its
// objects concerns which names.

// connect reaches for the cluster with reg's credentials, which replace the present ones once they have synced (SPEC L8).
func (m *Member) connect(reg registration.Registration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reg.Err != nil { // what can't be read says nothing of the role either
		reg.Provider, reg.Consumer, reg.ExportStatus = m.reg.Provider, m.reg.Consumer, m.reg.ExportStatus
	}
	reg.Limits = m.reg.Limits // they change apart from the credentials
	m.reg = reg
	if reg.Err == nil {
		var c *connection
		if c, reg.Err = newConnection(m, reg, m.opts); reg.Err == nil {
			m.reach(c)
			return
		}
	}
	if m.conn.Load() != nil || m.candidate != nil {
		m.log.Error("the new credentials can't be used; the old ones stay in use", "err", reg.Err)
		return
	}
	m.log.Error("the cluster can't be reached with what is registered; nothing of it is changed or deleted", "err", reg.Err)
}

// reach runs c as the candidate, instead of one that is there. m.mu is held.
func (m *Member) reach(c *connection) {
	if m.stopNext != nil {
		m.stopNext()
	}
	ctx, stop := context.WithCancel(m.ctx)
	m.candidate, m.stopNext = c, stop
	m.running.Go(func() { c.run(ctx) })
}

// consider is called by a connection's loop whenever something of it may have changed; err is why it is not complete.
func (m *Member) consider(c *connection, err error) {
	m.mu.Lock()
	old := m.conn.Load()
	replaces := c == m.candidate && err == nil && c.atLeast(old)
	if c != m.candidate && c != old {
		m.mu.Unlock()
		return
	}
	var stopOld context.CancelFunc
	if replaces {
		stopOld = m.stopLive
		m.stopLive, m.candidate, m.stopNext = m.stopNext, nil, nil
	}
	m.mu.Unlock()
	if replaces {
		c.replace(old, func() { m.conn.Store(c) })
		m.set.connected(m, c.uid)
		if stopOld != nil {
			stopOld()
		}
		if old != nil {
			m.log.Info("new credentials are in use")
		}
	}
	m.report(c, err)
	m.tellSynced(replaces)
}

// atLeast says whether c knows no less than old, so that replacing old by it leaves no gap.
func (c *connection) atLeast(old *connection) bool {
	return old == nil || (c.providerSynced() || !old.providerSynced()) && (c.consumerSynced() || !old.consumerSynced())
}

// refuse takes the connection c out of use, and starts anew, which waits until the reason is gone.
func (m *Member) refuse(c *connection) {
	m.mu.Lock()
	if m.conn.Load() != c {
		m.mu.Unlock()
		return
	}
	m.conn.Store(nil)
	m.stopLive()
	m.stopLive = nil
	if m.candidate == nil { // else better credentials are under way
		if next, err := newConnection(m, c.reg, m.opts); err == nil {
			m.reach(next)
		}
	}
	m.mu.Unlock()
	m.tellSynced(false)
}

// tellSynced tells the handler when a role became synced or unsynced, when imports are followed at another version, which
// owner references name (SPEC S1), or always with force.
func (m *Member) tellSynced(force bool) {
	var exports, imports string
	if c := m.conn.Load(); c != nil {
		if c.providerSynced() {
			exports = "synced" // in whichever version: that is nobody else's concern
		}
		if c.consumerSynced() {
			imports = c.imports.Version()
		}
	}
	now := time.Now()
	version := m.asConsumer.observe(imports, now)
	provider, consumer := m.asProvider.observe(exports, now) != "", version != ""
	if provider {
		m.arrivals.meet(time.Now(), m.eachExport)
	}
	m.mu.Lock()
	differs := provider != m.provider || consumer != m.consumer
	force = force || consumer && version != m.version
	m.provider, m.consumer = provider, consumer
	if consumer {
		m.version = version
	}
	m.mu.Unlock()
	if differs {
		m.log.Info("sync state of the cluster", "provider", provider, "consumer", consumer)
	}
	if differs || force {
		m.handler.Synced(m)
	}
}

// report logs the state of a connection when it changes in kind: once per outage, and once on recovery. It is called by the
// connection's loop only.
func (m *Member) report(c *connection, err error) {
	problems := c.problems(err)
	names := make([]string, len(problems))
	for i, p := range problems {
		names[i] = p.what
	}
	slices.Sort(names)
	now := strings.Join(slices.Compact(names), ", ")
	before, live := c.problem, m.conn.Load()
	c.problem = now
	switch {
	case now == before || now == "" && live != c:
	case now == "":
		m.log.Info("the cluster is reachable and complete again")
	default:
		errs := make([]error, len(problems))
		for i, p := range problems {
			errs[i] = p.err
		}
		what := "the cluster is not complete; what was known of it stays"
		if live != nil && live != c {
			what = "the new credentials can't replace the old ones yet, which stay in use"
		}
		m.log.Warn(what, "problem", now, "err", strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
	}
}

// problem is one reason why a connection is not complete. Its kind, what, does not change while it lasts.
type problem struct {
	what string
	err  error
}

// problems returns why the connection is not complete; nil if it is, or will be in a moment.
func (c *connection) problems(err error) []problem {
	if probe := c.heard.Load().Err; probe != nil {
		return []problem{{"unreachable", probe}}
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return []problem{{"refused", err}}
	}
	if err != nil {
		return []problem{{"error", err}}
	}
	var list []problem
	now := time.Now()
	add := func(what string, err error) {
		if err == nil {
			return
		}
		if reason := apierrors.ReasonForError(err); reason != "" {
			what += ": " + string(reason)
		}
		list = append(list, problem{what, err})
	}
	add("coming and going", errors.Join(c.member.asProvider.problem(now), c.member.asConsumer.problem(now)))
	if n := c.doubted(); n > 0 {
		list = append(list, problem{"objects absent", fmt.Errorf("%d objects are absent from a new list; held back for %v", n, c.member.opts.doubtAbsence())})
	}
	if n := c.refused(); n > 0 {
		list = append(list, problem{"objects too large", fmt.Errorf("%d objects of the importing cluster are larger than is kept; nothing is written of names whose ServiceImport is one", n)})
	}
	if c.reg.Provider {
		add("serviceexports", c.exports.Problem(exportResource))
		add("endpointslices", c.sources.State().Err)
	}
	add("services", c.services.State().Err)
	if c.reg.Consumer {
		add("serviceimports", c.imports.Problem(importResource))
		add("imported endpointslices", c.imported.State().Err)
		add("namespaces", c.namespaces.State().Err)
		add("nodes", c.nodes.State().Err)
		add("servicecidrs", c.rangesErr)
	}
	return list
}

// doubted counts the objects that are held back because a new list lacks them.
func (c *connection) doubted() int {
	n := c.services.Store.Doubted() + c.sources.Store.Doubted()
	if exports := c.exports.Read(); exports != nil {
		n += exports.Doubted()
	}
	if imports := c.imports.Read(); imports != nil {
		n += imports.Doubted()
	}
	return n
}

// malformed reports objects of a kind with names that none can have: once, whatever else like that the API server gives.
func (m *Member) malformed(kind string, err error) {
	m.mu.Lock()
	told := m.malformedKinds[kind]
	if m.malformedKinds == nil {
		m.malformedKinds = map[string]bool{}
	}
	m.malformedKinds[kind] = true
	m.mu.Unlock()
	if !told {
		m.log.Warn("the cluster's API server gives objects with names that no object can have; they are ignored", "kind", kind, "err", err)
	}
}

// What changes of objects concern.

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

// limit takes the limits of a registration, and tells if they are others than before. What can't be read changes none.
func (m *Member) limit(reg registration.Registration) {
	m.mu.Lock()
	differ := reg.Err == nil && !reg.Limits.Equal(&m.reg.Limits)
	if differ {
		m.reg.Limits = reg.Limits
		m.limited++
	}
	candidate := m.candidate
	m.mu.Unlock()
	if differ {
		for _, c := range []*connection{m.conn.Load(), candidate} {
			if c != nil { // one that is neither for a moment looks within a probe interval
				c.look()
			}
		}
		m.log.Info("the limits of the member changed")
		m.handler.Synced(m)
	}
}
