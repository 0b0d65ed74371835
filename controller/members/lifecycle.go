package members

import (
	"context"
	"time"

	"github.com/clusterset/multicluster/controller/registration"
)

// This file is the life of a member: from its first connection, over other credentials and limits, to its end.

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
