package mcsapi

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// TestWellformed_X2: what an API server would refuse as a name is refused, and nothing else.
func TestWellformed_X2(t *testing.T) {
	long := strings.Repeat("l", 63)
	names := []string{
		"", "a", "cart", "cart-1", "1", "-", "-a", "a-", "a.b", "a..b", ".a", "a.", "A", "a_b", "a/b", "../a", "ä", "a b", "a\x00",
		long, long + "l", long + "-l", "-" + long, long + "-", "a." + long + "l",
		strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 127) + "b",
	}
	for _, name := range names {
		if got, want := IsLabel(name), len(validation.IsDNS1123Label(name)) == 0; got != want {
			t.Errorf("%.80q is a label: %v", name, got)
		}
		if got, want := IsSubdomain(name), len(validation.IsDNS1123Subdomain(name)) == 0; got != want {
			t.Errorf("%.80q is a subdomain: %v", name, got)
		}
		for _, namespace := range names {
			for _, namespaced := range []bool{true, false} {
				o := &metav1.ObjectMeta{Name: name, Namespace: namespace}
				want := len(validation.IsDNS1123Subdomain(name)) == 0 && (namespace == "") == !namespaced &&
					(!namespaced || len(validation.IsDNS1123Label(namespace)) == 0)
				err := Wellformed(o, namespaced)
				if (err == nil) != want {
					t.Errorf("%.80q in namespace %.80q, namespaced %v: %v", name, namespace, namespaced, err)
				}
				if err != nil && (len(err.Error()) > 800 || strings.ContainsAny(err.Error(), "\x00\n")) {
					t.Errorf("an error that spoils a log: %q", err)
				}
			}
		}
	}
}

// TestOnlyWellformed_X2: of a list, objects with names that no object can have are left out, and only they.
func TestOnlyWellformed_X2(t *testing.T) {
	list := []metav1.PartialObjectMetadata{}
	for _, name := range []string{"a", "$(id)", "b", "", "-x", "a;id", "c.d"} {
		list = append(list, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	var names []string
	for _, o := range OnlyWellformed(list, true) {
		names = append(names, o.Name)
	}
	if got := strings.Join(names, " "); got != "a b c.d" {
		t.Errorf("%s are left", got)
	}
}

// TestLongVersion_X6: an object whose resourceVersion no honest server gives is malformed.
func TestLongVersion_X6(t *testing.T) {
	for version, want := range map[string]bool{"": true, "18446744073709551615": true, strings.Repeat("1", 128): true, strings.Repeat("1", 129): false, strings.Repeat("1", 4<<20): false} {
		err := Wellformed(&metav1.ObjectMeta{Name: "cart", Namespace: "shop", ResourceVersion: version}, true)
		if (err == nil) != want || err != nil && len(err.Error()) > 100 {
			t.Errorf("%d bytes: %.200v", len(version), err)
		}
	}
}
