package controller

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/test/bench/provider"
)

// holdFirst is the wait of a kind that came back a second time.
const holdFirst = 2 * time.Second

// toggling is an API server that has no ServiceExports at every other probe.
type toggling struct {
	*provider.Cluster
	probes atomic.Int64
	steady atomic.Bool
}

func (s *toggling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/v1beta1") && s.probes.Add(1)%2 == 0 && !s.steady.Load() {
		http.NotFound(w, r)
		return
	}
	s.Cluster.ServeHTTP(w, r)
}

// TestTogglingKind_X6: a member whose API server takes its exports away and gives them back at every other probe has all names looked
// at anew once or twice, not at every probe; it counts as not known meanwhile, and what was known stays. When that ends, it is back.
func TestTogglingKind_X6(t *testing.T) {
	server := &toggling{Cluster: provider.New("p", 1, []string{"first"}, 0, 1)}
	server.steady.Store(true)
	set, _, said := follow(t, server.Cluster, server)
	synced := func() bool { return len(set.Members()) == 1 && set.Members()[0].ProviderSynced() }
	await(t, "the member is synced", synced)
	before, began := said.count("sync state of the cluster"), time.Now()
	server.steady.Store(false)
	probes := server.probes.Load()
	await(t, "many probes", func() bool { return server.probes.Load() > probes+60 })
	// It goes and comes back at once, goes and comes back after 2 s, goes and comes back after 4 s, and so on.
	most, took := 3, time.Since(began)
	for wait := holdFirst; took > 0; wait *= 2 {
		most, took = most+2, took-wait
	}
	if n := said.count("sync state of the cluster") - before; n < 2 || n > most {
		t.Errorf("the member was synced or not %d times in 60 probes, want at most %d", n, most)
	}
	if set.Members()[0].Export(types.NamespacedName{Namespace: provider.Namespace, Name: "first"}) == nil {
		t.Error("what was known of the member is gone")
	}
	server.steady.Store(true)
	await(t, "the member is back", synced)
	if said.count("disappeared and came back several times") == 0 {
		t.Error("nothing says why the member is not known")
	}
}
