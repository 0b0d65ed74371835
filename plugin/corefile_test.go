package multicluster

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: "https://127.0.0.1:1"}}
- {name: b, cluster: {server: "https://127.0.0.1:2"}}
contexts:
- {name: a, context: {cluster: a, user: u}}
- {name: b, context: {cluster: b, user: u}}
users: [{name: u, user: {token: t}}]
current-context: a
`

// parse parses the stanzas of a server block with two zones. KUBECONFIG stands for the path of a good one.
func parseText(t *testing.T, text string) (*Multicluster, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), []byte("clusters: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := caddy.NewTestController("dns", strings.NewReplacer("KUBECONFIG", path, "DIR", dir).Replace(text))
	c.ServerBlockKeys = []string{"dns://Clusterset.local.:53", "dns://multi.example.:53"}
	return parseStanzas(c)
}

// TestOptions_D13: every option, and what it is without.
func TestOptions_D13(t *testing.T) {
	m, err := parseText(t, "multicluster {\nkubeconfig KUBECONFIG\n}")
	if err != nil {
		t.Fatal(err)
	}
	st := m.stanzas[0]
	if len(m.zones) != 2 || m.zones[0].Origin != "clusterset.local." || m.zones[1].Origin != "multi.example." {
		t.Errorf("the zones are not those of the server block: %v", m.zones)
	}
	if z := m.zones[1]; z.TTL != 5 || z.fall.Through("x.multi.example.") || st.patience != 5*time.Second {
		t.Errorf("defaults: %+v", z)
	}
	if st.config.Host != "https://127.0.0.1:1" || st.key.namespaces != "" || st.key.labels != "" || st.key.noEndpoints {
		t.Errorf("defaults: %+v, API server %s", st.key, st.config.Host)
	}

	m, err = parseText(t, `multicluster one.example TWO.example {
		kubeconfig KUBECONFIG b
		ttl 0
		namespaces shop
		namespaces bank shop
		labels tier in (front, back),!hidden
		noendpoints
		fallthrough two.example
		startup_timeout 1m
	}`)
	if err != nil {
		t.Fatal(err)
	}
	st = m.stanzas[0]
	if len(m.zones) != 2 || m.zones[0].Origin != "one.example." || m.zones[1].Origin != "two.example." {
		t.Errorf("zones %v", m.zones)
	}
	if z := m.zones[0]; z.TTL != 0 || z.fall.Through("x.one.example.") || !z.fall.Through("x.two.example.") {
		t.Errorf("%+v", z)
	}
	if st.patience != time.Minute || st.config.Host != "https://127.0.0.1:2" {
		t.Errorf("%+v, API server %s", st, st.config.Host)
	}
	if st.key.namespaces != "bank shop" || st.key.labels != "!hidden,tier in (back,front)" || !st.key.noEndpoints {
		t.Errorf("%+v", st.key)
	}
	if newWanted(st.key.namespaces).namespace("other") || !newWanted(st.key.namespaces).namespace("bank") || !newWanted("").namespace("any") {
		t.Error("namespaces are not what is wanted")
	}
}

// TestSameSource_D13: what makes two stanzas share a source, and what keeps them apart.
func TestSameSource_D13(t *testing.T) {
	m, err := parseText(t, `multicluster one.example {
		kubeconfig KUBECONFIG
		ttl 30
		labels a=b,c
		namespaces x y
	}
	multicluster two.example {
		kubeconfig KUBECONFIG
		namespaces y
		namespaces x
		labels c,a = b
		fallthrough
		startup_timeout 1s
	}
	multicluster three.example {
		kubeconfig KUBECONFIG b
		labels c,a = b
		namespaces x y
	}
	multicluster four.example {
		kubeconfig KUBECONFIG
		noendpoints
		labels c,a = b
		namespaces x y
	}`)
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) sourceKey { return m.stanzas[i].key }
	if key(0) != key(1) {
		t.Errorf("%v and %v are not the same", key(0), key(1))
	}
	if key(0) == key(2) || key(0) == key(3) || key(2) == key(3) {
		t.Errorf("%v, %v and %v are not all different", key(0), key(2), key(3))
	}
	if got := key(3).String(); !strings.HasSuffix(got, "kubeconfig namespaces=x,y labels=a=b,c noendpoints") {
		t.Errorf("in metrics it is called %q", got)
	}
}

// TestErrors_D13: each mistake is one line that says where and what.
func TestErrors_D13(t *testing.T) {
	for _, c := range []struct{ block, want string }{
		{"ttl", "Testfile:2 - Error during parsing: Wrong argument count or unexpected line ending after 'ttl'"},
		{"ttl x", "Testfile:2 - Error during parsing: ttl must be a number of seconds from 0 to 3600: 'x'"},
		{"ttl -1", "from 0 to 3600: '-1'"},
		{"ttl 3601", "from 0 to 3600: '3601'"},
		{"ttl 1 2", "Wrong argument count"},
		{"namespaces", "Wrong argument count"},
		{"namespaces a_b", "'a_b' is no name of a namespace"},
		{"labels", "Wrong argument count"},
		{"labels a in b", "is no label selector"},
		{"noendpoints yes", "Wrong argument count"},
		{"startup_timeout", "Wrong argument count"},
		{"startup_timeout 5", "startup_timeout must be a duration such as 5s: '5'"},
		{"startup_timeout -5s", "startup_timeout must be a duration such as 5s: '-5s'"},
		{"kubeconfig", "Wrong argument count"},
		{"kubeconfig a b c", "Wrong argument count"},
		{"kubeconfig DIR/missing", "missing: no such file or directory"},
		{"kubeconfig DIR/broken", "kubeconfig "},
		{"kubeconfig KUBECONFIG c", `context "c" does not exist`},
		{"pods verified", "Testfile:2 - Error during parsing: unknown property 'pods'"},
	} {
		_, err := parseText(t, "multicluster clusterset.local {\n"+c.block+"\n}")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Testfile:") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.block, err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"multicluster a..b", "zone 'a..b' is no domain name"},
		{"multicluster " + strings.Repeat("a.", 125), "leaves no room for names in it"},
		{"multicluster x.example {\nkubeconfig KUBECONFIG\n}\nmulticluster x.example {\nkubeconfig KUBECONFIG\n}", "zone x.example. is given twice"},
		{"multicluster", "this is no pod of a cluster"},
	} {
		if _, err := parseText(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// TestServerAddrs_D5: the name server is known by the addresses that others can reach it by.
func TestServerAddrs_D5(t *testing.T) {
	for _, c := range []struct {
		bound []string
		want  string
	}{
		{[]string{"10.0.0.1", "fd00::1", "127.0.0.1", "fe80::1%eth0", "10.0.0.1"}, "10.0.0.1 fd00::1"},
		{[]string{"127.0.0.1", "::1"}, "127.0.0.1 ::1"},
		{[]string{"0.0.0.0", "10.0.0.1/24", "eth0"}, "10.0.0.1"},
	} {
		var got []string
		for _, addr := range serverAddrs(c.bound) {
			got = append(got, addr.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("bound to %v: %v", c.bound, got)
		}
	}
	if all := serverAddrs([]string{""}); len(all) == 0 || slices.ContainsFunc(all, netip.Addr.IsUnspecified) {
		t.Errorf("bound to nothing: %v", all)
	}
}
