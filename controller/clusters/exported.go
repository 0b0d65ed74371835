package clusters

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file ties the stores of Services and slices to the exports: of what a provider holds, only what it exports is kept.

// parallelReads is how many names are read anew at once: a provider that creates exports by the hundred is asked no faster.
const parallelReads = 8

// selectExported has the stores of the provider's side keep what is exported, and that of Services also what concerns a
// consumer whatever is exported: derived Services, those in the place of one (SPEC X5), and all where only they tell which
// addresses the cluster gives to Services (SPEC X2).
func (c *connection) selectExported() {
	c.reads = make(chan struct{}, parallelReads)
	services, sources := c.services.store, c.sources.store
	services.selection.of = func(s *corev1.Service) (types.NamespacedName, bool) { return keyOf(s), true }
	services.selection.anyway = func(s *corev1.Service) bool {
		if !c.reg.Consumer {
			return false
		}
		_, derived := byService(s)
		r := c.ranges.Load()
		return derived || strings.HasPrefix(s.Name, mcsapi.DerivedPrefix) || r == nil || len(r.prefixes) == 0
	}
	services.selection.unknown = func(name types.NamespacedName) { readUnknown(c, c.services, name) }
	sources.selection.of = bySource
	sources.selection.unknown = func(name types.NamespacedName) { readUnknown(c, c.sources, name) }
}

// choose selects a name if it is exported, and ends its selection if not.
func (c *connection) choose(name types.NamespacedName) {
	c.choosing.Lock() // or an earlier answer could win over a later one
	defer c.choosing.Unlock()
	for _, exports := range c.exports.stores() {
		if exports.holds(name) {
			c.services.store.pick(name)
			c.sources.store.pick(name)
			return
		}
	}
	c.services.store.unpick(name)
	c.sources.store.unpick(name)
}

// chooseAll is [connection.choose] for every export, after a store of them was replaced or took others over.
func (c *connection) chooseAll() {
	for _, exports := range c.exports.stores() {
		for name := range exports.all() {
			c.choose(name)
		}
	}
}

// knows says whether all that belongs to an exported name is known.
func (c *connection) knows(name types.NamespacedName) bool {
	return c.services.store.knows(name) && c.sources.store.knows(name)
}

// readUnknown reads a name anew, in the background, until it is known or not exported any more.
func readUnknown[T object](c *connection, f *feed[T], name types.NamespacedName) {
	c.feeds.Go(func() {
		delay, logged := newBackoff(), false
		for {
			wanted, err := readInTurn(c, f, name)
			switch {
			case c.ctx.Err() != nil:
				return
			case !wanted:
				if f.store.live.Load() && c.knows(name) { // not when the other kind is still being read, which will tell
					c.member.handler.Changed(c.member, name)
				}
				return
			case err != nil && !logged:
				logged = true
				c.log.Warn("an exported name can't be read; it counts as not known until it can", "name", name.String(), "err", err)
			}
			select {
			case <-c.ctx.Done():
			case <-time.After(delay.next()):
			}
		}
	})
}

func readInTurn[T object](c *connection, f *feed[T], name types.NamespacedName) (wanted bool, err error) {
	select {
	case c.reads <- struct{}{}:
		defer func() { <-c.reads }()
		return f.read(c.ctx, name)
	case <-c.ctx.Done():
		return true, context.Cause(c.ctx)
	}
}
