package controller

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/resolve"
	"github.com/clusterset/multicluster/internal/mcsapi"
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

// TestOffersAreBounded_X6: an importing cluster that remembers something else each time, while nothing changes, leaves no more behind than
// the clusters that there are.
func TestOffersAreBounded_X6(t *testing.T) {
	s := snapshotOf(exportedBy("a", "b"))
	for i := range 100 {
		export := s.Exports[0].FirstSeen(time.Unix(int64(2_000_000_000+i), 0))
		export.SessionAffinity, export.InternalTrafficPolicy = corev1.ServiceAffinityNone, corev1.ServiceInternalTrafficPolicyCluster
		text, err := json.Marshal([]merge.Export{export})
		if err != nil {
			t.Fatal(err)
		}
		o := s.to("b", &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{mcsapi.LabelClusterSet: "set"}, Annotations: map[string]string{mcsapi.AnnotationExports: string(text)},
		}}, nil)
		if !o.Exports[0].Since.Equal(export.Since) {
			t.Fatalf("what it remembers does not count: %v", o.Exports[0].Since)
		}
	}
	if most := len(s.Members) + 1; len(s.offers) > most {
		t.Errorf("%d are kept, want %d at most", len(s.offers), most)
	}
}

// TestVerdictsShare: what verdicts are made of is what a consumer sees that sees all, and is made once.
func TestVerdictsShare(t *testing.T) {
	s := snapshotOf(exportedBy("a", "b"))
	if s.forVerdict(nobodyRemembers) != s.to("a", nil, nil) {
		t.Error("it is made twice")
	}
}
