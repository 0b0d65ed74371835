package join

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// TestRegisteredAs_L6: the identity of a live member is not taken for that of one which left: neither where the id was mistyped, nor where
// nobody can tell which cluster a member is.
func TestRegisteredAs_L6(t *testing.T) {
	all := []member{{"hub", "u0"}, {"c2", "u2"}, {"c3", ""}}
	for _, c := range []struct {
		name, id string
		uid      types.UID
		list     []member
		as       string
		unknown  []string
	}{
		{"nobody is registered", "c2", "u2", nil, "", nil},
		{"it is registered under that id", "c2", "u2", all[:2], "", nil},
		{"a mistyped id", "typo", "u2", all, "c2", nil},
		{"a hub that joined itself", "typo", "u0", all, "hub", nil},
		{"the id of another", "hub", "u2", all, "c2", nil},
		{"a member that can't be reached", "typo", "u9", all, "", []string{"c3"}},
		{"it can't be reached itself", "c3", "u9", all, "", nil},
		{"a cluster that hides its UID", "typo", "", all, "", []string{"hub", "c2", "c3"}},
		{"twice registered", "c2", "u2", append(all, member{"again", "u2"}), "again", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if as, unknown := registeredAs(c.id, c.uid, c.list); as != c.as || !slices.Equal(unknown, c.unknown) {
				t.Errorf("%q %v, want %q %v", as, unknown, c.as, c.unknown)
			}
		})
	}
}
