package fleet

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/clusterset/multicluster/test/kit"
)

var sentinels atomic.Int64

// sentinel exports a name of its own from a cluster, and waits until other clusters have imported it, as asked for there, with
// address and endpoints. Watches and queues keep their order: whatever was done in these clusters before has had its effect by
// then, and what has not come does not come.
func sentinel(t testing.TB, ns string, from *cluster, to ...*cluster) {
	t.Helper()
	name := fmt.Sprintf("sentinel-%d", sentinels.Add(1))
	for _, c := range to {
		c.importOf(t, ns, name)
	}
	from.service(t, ns, name)
	from.slice(t, ns, name, "x", []string{"10.8.0.1"})
	from.export(t, ns, name)
	for _, c := range to {
		kit.Eventually(t, name+" is imported into "+c.Name(), c.wantImported(ns, name))
		kit.Eventually(t, "with its endpoint", c.wantAddresses(ns, name, from.Name()+"/10.8.0.1"))
	}
}
