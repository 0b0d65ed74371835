package registration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// secretWith registers a member by a Secret with annotations of our domain.
func secretWith(annotations map[string]string) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "mcs-system", Name: "c1", Labels: map[string]string{LabelMember: "c1"}, Annotations: map[string]string{},
		},
		Data: map[string][]byte{KeyKubeconfig: []byte(kubeconfig("token: one"))},
	}
	for name, value := range annotations {
		s.Annotations[mcsapi.Domain+"/"+name] = value
	}
	return s
}

// SPEC X2: what a Secret declares of its member is read from its annotations, and what can't be read is no limit less, but a
// registration that is not used.
func TestDeclaredRanges_X2(t *testing.T) {
	type set map[string]string
	for _, tc := range []struct {
		annotations set
		want        string
	}{
		{nil, "[] []"},
		{set{"endpoint-cidrs": "10.1.2.3/16"}, "[10.1.0.0/16] []"},
		{set{"endpoint-cidrs": "10.1.0.0/16, fd00:1::/48"}, "[10.1.0.0/16 fd00:1::/48] []"},
		{set{"service-cidrs": "10.96.0.0/16"}, "[] [10.96.0.0/16]"},
		{set{"pod-cidrs": "10.1.0.0/16"}, "[] []"}, // what nodes had once: no declaration
		{set{"endpoint-cidrs": "10.1.0.0"}, `Secret mcs-system/c1: annotation clusterset.dev/endpoint-cidrs "10.1.0.0": want ranges such as`},
		{set{"endpoint-cidrs": ""}, `annotation clusterset.dev/endpoint-cidrs "": want ranges such as`},
		{set{"endpoint-cidrs": "10.1.0.0/16,,10.2.0.0/16"}, "want ranges such as"},
		{set{"endpoint-cidrs": "10.1.0.0/16", "service-cidrs": "10.96.0.0/16;"}, `annotation clusterset.dev/service-cidrs "10.96.0.0/16;": want ranges`},
	} {
		reg := Registered(secretWith(tc.annotations))
		got := fmt.Sprint(reg.Limits.EndpointCIDRs, " ", reg.Limits.ServiceCIDRs)
		if reg.Err != nil {
			got = reg.Err.Error()
			if reg.Config != nil {
				t.Errorf("%v: it is used", tc.annotations)
			}
		}
		if got != tc.want && (reg.Err == nil || !strings.Contains(got, tc.want)) {
			t.Errorf("%v: got %s, want %s", tc.annotations, got, tc.want)
		}
	}
}

// SPEC X3: what a member may export from and what is imported into it are lists of names and prefixes; the namespaces of
// Kubernetes must be named.
func TestNamespaces_X3(t *testing.T) {
	const all = "shop team-a kube-system kube-public"
	for list, want := range map[string]string{
		"shop":                 "shop",
		"team-*":               "team-a",
		"*":                    "shop team-a",
		"*, kube-system":       "shop team-a kube-system",
		"kube-*":               "kube-system kube-public",
		"shop,team-a,kube-pub": "shop team-a",
	} {
		reg := Registered(secretWith(map[string]string{LimitExportNamespaces: list, LimitImportNamespaces: list}))
		if reg.Err != nil {
			t.Errorf("%q: %v", list, reg.Err)
		}
		var exports, imports []string
		for _, ns := range strings.Fields(all) {
			if reg.Limits.MayExport(ns) {
				exports = append(exports, ns)
			}
			if reg.Limits.MayImport(ns) {
				imports = append(imports, ns)
			}
		}
		if strings.Join(exports, " ") != want || strings.Join(imports, " ") != want {
			t.Errorf("%q allows %v and %v, want %s", list, exports, imports, want)
		}
	}
	var none Limits
	for _, ns := range strings.Fields(all) {
		if system := strings.HasPrefix(ns, "kube-"); !none.MayExport(ns) || none.MayImport(ns) == system {
			t.Errorf("without limits: export %v, import %v of %s", none.MayExport(ns), none.MayImport(ns), ns)
		}
	}
	for _, bad := range []string{"", "shop,", "*-a", "a b", "Shop", "sho?", "-*"} {
		for _, name := range []string{LimitExportNamespaces, LimitImportNamespaces} {
			if reg := Registered(secretWith(map[string]string{name: bad})); reg.Err == nil || reg.Config != nil ||
				!strings.Contains(reg.Err.Error(), fmt.Sprintf("annotation clusterset.dev/%s %q: want names of namespaces", name, bad)) {
				t.Errorf("%s %q: %v", name, bad, reg.Err)
			}
		}
	}
}

// SPEC X5: exported keys with a domain pass only where the registration lists key or domain; keys without one always do.
func TestExportedKeys_X5(t *testing.T) {
	const all = "team example.com/a Example.com/a example.com/b deep.example.com/a notexample.com/a example.com.evil.org/a"
	for list, want := range map[string]string{
		"none":                        "team",
		"example.com":                 "team example.com/a Example.com/a example.com/b",
		"EXAMPLE.com/a":               "team example.com/a Example.com/a",
		"*.example.com":               "team deep.example.com/a",
		"example.com/b, *.evil.org":   "team example.com/b example.com.evil.org/a",
		"*":                           all,
		"example.com/A,example.com/c": "team",
	} {
		set := map[string]string{LimitExportedKeys: list}
		if list == "none" {
			set = nil
		}
		reg := Registered(secretWith(set))
		if reg.Err != nil {
			t.Errorf("%q: %v", list, reg.Err)
		}
		var passed []string
		for _, key := range strings.Fields(all) {
			if reg.Limits.MayExportKey(key) {
				passed = append(passed, key)
			}
		}
		if got := strings.Join(passed, " "); got != want {
			t.Errorf("%q lets %q pass, want %q", list, got, want)
		}
	}
	for _, bad := range []string{"", "a,", "exa mple.com", "*example.com", "*.", "*/a", "*.example.com/a", "example.com/", "example.com/a/b", "/a"} {
		reg := Registered(secretWith(map[string]string{LimitExportedKeys: bad}))
		if reg.Err == nil || reg.Config != nil || !strings.Contains(reg.Err.Error(), fmt.Sprintf("annotation clusterset.dev/exported-keys %q: want domains", bad)) {
			t.Errorf("%q: %v", bad, reg.Err)
		}
	}
	a, b := Limits{}, Limits{Keys: Keys{"example.com"}}
	if a.Equal(&b) {
		t.Error("a change of the list goes unnoticed")
	}
}

// TestRegisteredSince_M1: a Secret tells since when its member is one.
func TestRegisteredSince_M1(t *testing.T) {
	now := time.Now()
	secret := secretWith(nil)
	secret.CreationTimestamp = metav1.NewTime(now)
	if reg := Registered(secret); !reg.Registered.Equal(now) {
		t.Errorf("a Secret registers %s", reg.Registered)
	}
}
