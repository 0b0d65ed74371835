package clusters

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// goroutines counts those that run code of the package under test or hold a connection.
func goroutines() (int, string) {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	var found []string
	for _, g := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(g, "controller/members.(") || strings.Contains(g, "controller/mirror.(") || strings.Contains(g, "http2") || strings.Contains(g, "net/http.(*persistConn)") {
			found = append(found, g)
		}
	}
	return len(found), strings.Join(found, "\n\n")
}

// settled is [goroutines] once their number has not changed for a while.
func settled(t *testing.T) int {
	t.Helper()
	last, same := -1, 0
	kit.True(t, "the number of goroutines settles", func() bool {
		n, _ := goroutines()
		if same++; n != last {
			last, same = n, 0
		}
		return same == 30
	})
	return last
}

// TestLeave_L3 holds that of a member that leaves nothing runs on, no watch and no goroutine, while the others stay, that
// whoever still has it reads what it held last, and that nothing of the whole set runs on when that ends.
func TestLeave_L3(t *testing.T) {
	a, b := start(t, controlplane.Options{Name: "a"}), start(t, controlplane.Options{Name: "b"})
	b.namespace("shop")
	b.service("shop", "web", nil)
	b.export("shop", "web")
	before := settled(t) // those of the test's own clients
	s := newSource(a.as("a"))
	r := run(t, s)
	r.synced(t, "a")
	alone := settled(t)

	s.set(a.as("a"), b.as("b"))
	gone := r.synced(t, "b")
	kit.True(t, "what b exports is known", func() bool { return gone.Knows(key("shop", "web")) && gone.Service(key("shop", "web")) != nil })
	if both := settled(t); both <= alone {
		t.Fatalf("%d goroutines with one member, %d with two: those of a member are not counted", alone, both)
	}
	s.set(a.as("a"))
	kit.True(t, "b left", func() bool { return r.has("left b") && len(r.Members()) == 1 })
	defer func() {
		if t.Failed() {
			n, dump := goroutines()
			t.Logf("%d goroutines with one member, %d now:\n%s", alone, n, dump)
		}
	}()
	kit.True(t, "nothing of b runs", func() bool {
		n, _ := goroutines()
		return n <= alone
	})
	b.export("shop", "late")
	if keys := gone.Keys(); gone.ID() != "b" || !slices.Equal(keys, []types.NamespacedName{key("shop", "web")}) || gone.Service(keys[0]) == nil {
		t.Errorf("%s, which left, is read as holding %v, not what it held last", gone.ID(), keys)
	}
	r.stop()
	kit.True(t, "nothing of the set runs", func() bool {
		n, _ := goroutines()
		return n <= before
	})
}

// TestLateCRDs_L6 holds that a cluster without CRDs is not synced, is told of once and not asked in a busy loop, and is
// complete seconds after they are installed.
func TestLateCRDs_L6(t *testing.T) {
	c := bare(t, controlplane.Options{})
	r := run(t, newSource(c.as("c1")))
	m := r.member(t, "c1")
	kit.True(t, "the missing CRDs are told of", func() bool { return r.log.count("not served") > 0 })
	if m.ProviderSynced() || m.ConsumerSynced() || m.ImportVersion() != "" {
		t.Error("synced without CRDs")
	}
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	installed := time.Now()
	r.synced(t, "c1")
	t.Logf("complete %v after the CRDs were served", time.Since(installed))
	if n := r.log.count("serviceexports.multicluster.x-k8s.io: not served"); n != 1 {
		t.Errorf("told %d times:\n%s", n, r.log)
	}
	if m.ImportVersion() != "v1beta1" {
		t.Errorf("the version is %q", m.ImportVersion())
	}
}

// TestRemovedCRDs_L6 holds that a CRD that goes away, and its objects with it, makes the cluster one that is out of reach,
// not an empty one; and that the empty CRD that comes back is not believed at once either.
func TestRemovedCRDs_L6(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	for _, name := range []string{"s", "t", "u"} {
		c.export("n", name)
	}
	r := runWith(t, members.Options{ProbeInterval: time.Second, Liveness: liveness.Periods{Grace: 30 * time.Second}}, newSource(c.as("c1")))
	m := r.synced(t, "c1")
	stop := watchExport(t, m)
	if err := c.UninstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "the cluster is not synced", func() bool { return !m.ProviderSynced() && !m.ConsumerSynced() })
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.export("n", "new")
	kit.True(t, "new exports are seen", func() bool { return m.Export(key("n", "new")) != nil })
	stop()
	if m.Export(key("n", "t")) == nil || m.Export(key("n", "u")) == nil {
		t.Error("exports vanished with their CRD")
	}
	kit.TrueWithin(t, 3*kit.Patience, "the absence is believed at last", func() bool { return m.Export(key("n", "s")) == nil && m.Export(key("n", "t")) == nil })
	if m.Export(key("n", "new")) == nil {
		t.Error("what is there vanished with what is not")
	}
}

// TestRestoredEmpty_L6 holds that a cluster whose etcd was restored from nothing is not believed at once to export nothing.
func TestRestoredEmpty_L6(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	// Versions tell the histories apart, so the first one must be ahead of what the second one's start-up takes (SPEC D16).
	for i := range 300 {
		c.namespace(fmt.Sprint("earlier-", i))
	}
	c.export("n", "s")
	c.service("n", "s", nil)
	c.slice("n", "s-1", map[string]string{discoveryv1.LabelServiceName: "s"})
	wish := func(name string) {
		t.Helper()
		i := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mcs.ServiceImportSpec{Type: mcs.Headless, Ports: []mcs.ServicePort{}}}
		if err := c.mcs("v1beta1").Post().Namespace("n").Resource("serviceimports").Body(i).Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	wish("s")
	reg := c.as("c1")
	reg.Config = c.Config() // roles go with the data
	r := runWith(t, members.Options{ProbeInterval: time.Second, Liveness: liveness.Periods{Grace: 45 * time.Second}}, newSource(reg))
	m := r.synced(t, "c1")
	kit.True(t, "all is seen", func() bool {
		return m.Export(key("n", "s")) != nil && m.Service(key("n", "s")) != nil && len(m.SourceSlices(key("n", "s"))) == 1 && m.Import(key("n", "s")) != nil
	})
	if err := c.WipeEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.namespace("n")
	wish("fresh")
	kit.True(t, "imports are read again", func() bool { return m.Import(key("n", "fresh")) != nil })
	kit.True(t, "the doubt is told of", func() bool { return r.log.count("objects are absent from a new list; held back") > 0 })
	if m.Export(key("n", "s")) == nil || m.Service(key("n", "s")) == nil || len(m.SourceSlices(key("n", "s"))) != 1 || m.Import(key("n", "s")) == nil {
		t.Error("an empty list was believed")
	}
	kit.TrueWithin(t, 3*kit.Patience, "it is believed at last", func() bool {
		return m.Export(key("n", "s")) == nil && m.Service(key("n", "s")) == nil && len(m.SourceSlices(key("n", "s"))) == 0 && m.Import(key("n", "s")) == nil
	})
}

// TestVersions_A7 holds that another served version replaces the one before without readers seeing less in between.
func TestVersions_A7(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	c.export("n", "s")
	r := run(t, newSource(c.as("c1")))
	m := r.synced(t, "c1")
	stop := watchExport(t, m)
	for _, versions := range [][]string{{"v1alpha1"}, {"v1alpha1", "v1beta1"}, {"v1alpha1"}, {"v1beta1"}} {
		if err := c.SetServedVersions(t.Context(), versions...); err != nil {
			t.Fatal(err)
		}
		want := versions[len(versions)-1]
		kit.True(t, "version "+want+" is in use", func() bool { return m.ImportVersion() == want && m.ProviderSynced() && m.ConsumerSynced() })
	}
	stop()
	c.export("n", "t")
	kit.True(t, "exports are followed at the last version", func() bool { return m.Export(key("n", "t")) != nil })
}

// watchExport checks thousands of times a second that export n/s can be read, until stop.
func watchExport(t *testing.T, m *members.Member) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		reads := 0
		for ; ctx.Err() == nil; reads++ {
			if m.Export(key("n", "s")) == nil {
				t.Error("the export is not there")
				cancel()
			}
			<-tick.C
		}
		done <- reads
	}()
	return func() {
		cancel()
		t.Logf("%d reads", <-done)
	}
}

// counted is a transport that counts its requests.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// TestRotation_L8 holds that other credentials of a member replace the old ones without a gap, and that credentials that
// don't work leave the old ones in use.
func TestRotation_L8(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	c.export("n", "s")
	c.bind("consumer", "second")
	c.bind("provider-read", "second")
	first := c.as("c1")
	s := newSource(first)
	r := runWith(t, members.Options{ProbeInterval: 200 * time.Millisecond}, s)
	m := r.synced(t, "c1")
	stop := watchExport(t, m)
	r.take()

	second := first
	second.Config = c.ConfigFor("second")
	s.set(second)
	kit.True(t, "the new credentials are in use", func() bool { return r.log.count("new credentials are in use") == 1 })
	for _, e := range r.take() {
		if e != "synced c1" {
			t.Errorf("told %q, though nothing changed", e)
		}
	}

	worthless := first
	worthless.Config = c.ConfigFor("nobody")
	var asked atomic.Int64
	worthless.Config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return counted{rt, &asked} })
	s.set(worthless)
	const useless = "the new credentials can't replace the old ones yet"
	kit.True(t, "the worthless credentials are told of", func() bool { return r.log.count(useless) > 0 })
	told := asked.Load()
	kit.True(t, "they are tried again and again", func() bool { return asked.Load() >= told+30 })
	if n := r.log.count(useless); n > 8 || r.log.count("complete again") > 0 { // once per kind that is refused at most
		t.Errorf("told %d times, and %d times that all is well", n, r.log.count("complete again"))
	}
	broken := first
	broken.Config, broken.Err = nil, context.DeadlineExceeded
	s.set(broken)
	kit.True(t, "the broken credentials are told of", func() bool { return r.log.count("can't be used") > 0 })
	c.export("n", "t")
	kit.True(t, "the old credentials still work", func() bool { return m.Export(key("n", "t")) != nil })
	if !m.ProviderSynced() || !m.ConsumerSynced() || r.Members()[0] != m {
		t.Error("the member did not stay what it was")
	}
	s.set(first)
	kit.True(t, "good credentials are in use again", func() bool { return r.log.count("new credentials are in use") == 2 })
	stop()
}

// TestOutage holds that a cluster that is away stays known, and is followed again at once when it is back, by resuming
// watches: what was deleted meanwhile is seen as deleted (SPEC L6).
func TestOutage(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	c.export("n", "s")
	c.export("n", "t")
	r := run(t, newSource(c.as("c1")))
	m := r.synced(t, "c1")
	for name, outage := range map[string][2]func() error{
		"killed": {c.KillAPIServer, func() error { return c.StartAPIServer(t.Context()) }},
		"paused": {c.PauseAPIServer, c.ResumeAPIServer},
	} {
		t.Run(name, func(t *testing.T) {
			told := r.log.count("problem=unreachable")
			if err := outage[0](); err != nil {
				t.Fatal(err)
			}
			kit.True(t, "the outage is told of", func() bool { return r.log.count("problem=unreachable") == told+1 })
			if m.Export(key("n", "s")) == nil || !m.ProviderSynced() {
				t.Error("what was known is gone")
			}
			if err := outage[1](); err != nil {
				t.Fatal(err)
			}
			back := time.Now()
			c.export("n", "after-"+name)
			kit.True(t, "the cluster is followed", func() bool { return m.Export(key("n", "after-"+name)) != nil })
			t.Logf("followed %v after it was back", time.Since(back))
			kit.True(t, "the recovery is told of", func() bool { return r.log.count("reachable and complete again") > 0 })
			if n := r.log.count("problem=unreachable"); n != told+1 {
				t.Errorf("the outage was told of %d times", n-told)
			}
		})
	}
}

// TestForbidden_L6 holds that a permission that is missing or taken away is not taken for absence.
func TestForbidden_L6(t *testing.T) {
	c := start(t, controlplane.Options{})
	c.namespace("n")
	c.export("n", "s")
	reg := c.as("c1")
	reg.Config = c.ConfigFor("weak")
	r := run(t, newSource(reg))
	m := r.member(t, "c1")
	kit.True(t, "the missing permissions are told of", func() bool { return r.log.count("forbidden") > 0 })
	if m.ProviderSynced() || m.ConsumerSynced() {
		t.Error("synced without permission")
	}
	c.bind("consumer", "weak")
	c.bind("provider-read", "weak")
	r.synced(t, "c1")

	if err := c.kube.RbacV1().ClusterRoleBindings().Delete(t.Context(), "provider-read:weak", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	reopenWatches(t, c)
	kit.True(t, "the loss is told of", func() bool { return r.log.count("serviceexports: Forbidden") > 0 })
	if m.Export(key("n", "s")) == nil {
		t.Error("what was known is gone")
	}
}

// reopenWatches makes the API server, which checks permission only as a watch opens, check again.
func reopenWatches(t *testing.T, c *cluster) {
	t.Helper()
	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestHidden holds that a cluster that hides its kube-system namespace is a member all the same.
func TestHidden(t *testing.T) {
	c := start(t, controlplane.Options{})
	role, err := c.kube.RbacV1().ClusterRoles().Get(t.Context(), "multicluster:provider-read", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "namespaces") })
	if _, err := c.kube.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.bind("provider-read", "hidden")
	reg := c.as("c1")
	reg.Config, reg.Consumer = c.ConfigFor("hidden"), false
	r := run(t, newSource(reg))
	m := r.member(t, "c1")
	kit.True(t, "the provider is synced", m.ProviderSynced)
}

// TestDead_L5 holds that members that can't be reached, say nothing, fail, throttle, or talk nonsense don't delay the others,
// and are told of once.
func TestDead_L5(t *testing.T) {
	c := start(t, controlplane.Options{})
	closed, silent := c.as("closed"), c.as("silent")
	var bad []registration.Registration
	for id, answer := range map[string]http.HandlerFunc{
		"garbage":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") },
		"failing":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"throttle": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"stranger": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		reg := c.as(id)
		reg.Config = &rest.Config{Host: server.URL}
		bad = append(bad, reg)
	}
	closed.Config = &rest.Config{Host: "https://127.0.0.1:1"}
	silent.Config = &rest.Config{Host: "http://" + silence(t)}
	r := run(t, newSource(append(bad, closed, silent, c.as("c1"))...))
	r.synced(t, "c1")
	kit.True(t, "all are told of", func() bool { return r.log.count("problem=unreachable") == 6 })
	if m := r.member(t, "silent"); m.ProviderSynced() || m.Export(key("n", "s")) != nil || m.Kube() != nil {
		t.Error("a silent cluster is read")
	}
}

// silence listens, takes connections, and never says a word.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}
