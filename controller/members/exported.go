package members

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// This file ties the stores of Services and slices to the exports: of what a provider holds, only what it exports is kept.

// parallelReads is how many names are read anew at once: a provider that creates exports by the hundred is asked no faster.
const parallelReads = 8

// selectExported has the stores of the provider's side keep what is exported, and that of Services also what concerns a
// consumer whatever is exported: derived Services, those in the place of one (SPEC X5), and all where only they tell which
// addresses the cluster gives to Services (SPEC X2).
func (c *connection) selectExported() {
	services, sources := c.services.Store, c.sources.Store
	services.Selection.Of = func(s *corev1.Service) (types.NamespacedName, bool) { return mirror.KeyOf(s), true }
	services.Selection.Anyway = func(s *corev1.Service) bool {
		if !c.reg.Consumer {
			return false
		}
		_, derived := byService(s)
		r := c.ranges.Load()
		return derived || strings.HasPrefix(s.Name, mcsapi.DerivedPrefix) || r == nil || r.addresses.Empty()
	}
	services.Selection.Unknown = func(name types.NamespacedName) { readUnknown(c, c.services, name) }
	sources.Selection.Of = bySource
	sources.Selection.Unknown = func(name types.NamespacedName) { readUnknown(c, c.sources, name) }
}

// choose selects a name if it is exported, and the member may export it, and ends its selection if not: of what it may not export,
// nothing is kept. Nobody asks whether such a name is known, or for what belongs to it: its export is refused before that (SPEC X3).
func (c *connection) choose(name types.NamespacedName) {
	c.choosing.Lock() // or an earlier answer could win over a later one
	defer c.choosing.Unlock()
	may := c.member.mayExport(name.Namespace)
	for _, exports := range c.exports.Stores() {
		if may && exports.Holds(name) {
			c.services.Store.Pick(name)
			c.sources.Store.Pick(name)
			return
		}
	}
	c.services.Store.Unpick(name)
	c.sources.Store.Unpick(name)
}

// chooseAll is [connection.choose] for every export, and for every name that is selected, which may have been exported by a store
// only that is no longer read: nobody tells of such a name again.
func (c *connection) chooseAll() {
	c.choosing.Lock() // what chooses by stores that were there before is done
	names := c.services.Store.Picked()
	c.choosing.Unlock()
	for _, exports := range c.exports.Stores() {
		for name := range exports.All() {
			names[name] = true
		}
	}
	for name := range names {
		c.choose(name)
	}
}

// chooseAnew is [connection.chooseAll] if the member's limits changed since it was last called, or other stores hold its exports. It
// is called by the loop only. A name that becomes allowed is not known until it was read, which tells the handler.
//
// Limits are told apart by how often they changed: they may be what they were, and have been others while names were chosen.
func (c *connection) chooseAnew() {
	limited, stores := c.member.limitsChanged(), c.exports.Stores()
	if limited != c.chosen || !slices.Equal(stores, c.chosenBy) {
		c.chosen, c.chosenBy = limited, stores
		c.chooseAll()
	}
}

// knows says whether all that belongs to an exported name is known.
func (c *connection) knows(name types.NamespacedName) bool {
	return c.services.Store.Knows(name) && c.sources.Store.Knows(name)
}

// readUnknown has a name read anew, in the background, until it is known or not exported any more.
func readUnknown[T mirror.Object](c *connection, f *mirror.Feed[T], name types.NamespacedName) {
	delay, logged := &follow.Backoff{}, false
	type read struct {
		feed *mirror.Feed[T]
		name types.NamespacedName
	}
	c.reads.add(read{f, name}, func() (time.Duration, bool) {
		wanted, err := f.Read(c.ctx, name)
		switch {
		case c.ctx.Err() != nil:
			return 0, false
		case !wanted:
			if f.Store.Live.Load() && c.knows(name) { // not when the other kind is still being read, which will tell
				c.member.handler.Changed(c.member, name)
			}
			return 0, false
		case err != nil && !logged:
			logged = true
			c.log.Warn("an exported name can't be read; it counts as not known until it can", "name", name.String(), "err", err)
		}
		return delay.Next(), true
	})
}
