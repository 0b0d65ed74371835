package controller

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// TestPicturesOfNobody_X6: names that nobody exports leave nothing behind, also while a cluster is away that could have them: a member
// would make more and more of them.
func TestPicturesOfNobody_X6(t *testing.T) {
	var p pictures
	for i := range 100 {
		p.get(types.NamespacedName{Namespace: "n", Name: fmt.Sprint(i)}, func() *picture {
			return &picture{facts: facts{unsure: map[string]bool{"away": true}}}
		})
	}
	if len(p.kept) > 0 {
		t.Errorf("%d are kept", len(p.kept))
	}
}
