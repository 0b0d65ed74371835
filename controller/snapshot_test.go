package controller

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/resolve"
)

// TestSnapshotsOfNobody_X6: names that nobody exports leave nothing behind, also while a cluster is away that could have them: a member
// would make more and more of them.
func TestSnapshotsOfNobody_X6(t *testing.T) {
	var s snapshots
	for i := range 100 {
		s.get(types.NamespacedName{Namespace: "n", Name: fmt.Sprint(i)}, func() *snapshot {
			return &snapshot{facts: facts{Name: resolve.Name{Unsynced: map[string]bool{"away": true}}}}
		})
	}
	if len(s.kept) > 0 {
		t.Errorf("%d are kept", len(s.kept))
	}
}
