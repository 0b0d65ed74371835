package controller

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/test/bench/provider"
)

// TestScope_X2: a name stands for itself, whatever it is; only a scope that was made for more reaches further.
func TestScope_X2(t *testing.T) {
	cart := types.NamespacedName{Namespace: "shop", Name: "cart"}
	nameless, nothing := types.NamespacedName{Namespace: "shop"}, types.NamespacedName{}
	for name, tc := range map[string]struct {
		scope scope
		holds []types.NamespacedName
	}{
		"one name":              {only(cart), []types.NamespacedName{cart}},
		"a name that is empty":  {only(nameless), []types.NamespacedName{nameless}},
		"an empty key":          {only(nothing), []types.NamespacedName{nothing}},
		"the zero value":        {scope{}, []types.NamespacedName{nothing}},
		"a namespace":           {within("shop"), []types.NamespacedName{cart, nameless}},
		"a namespace of nobody": {within(""), []types.NamespacedName{nothing}},
		"everything":            {everything, []types.NamespacedName{cart, nameless, nothing}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []types.NamespacedName{cart, nameless, nothing} {
				if got := tc.scope.holds(key); got != slices.Contains(tc.holds, key) {
					t.Errorf("holds %q: %v", key, got)
				}
			}
			var s snapshots
			s.kept = map[types.NamespacedName]*snapshot{cart: {}}
			s.forget(tc.scope)
			if kept := len(s.kept) == 1; kept == slices.Contains(tc.holds, cart) {
				t.Errorf("what is known of %v is kept: %v", cart, kept)
			}
		})
	}
}

// liar is an API server that empties the name and namespace of what is called nowhere.
type liar struct{ *provider.Cluster }

func (l liar) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.Cluster.ServeHTTP(emptying{w}, r) }

type emptying struct{ http.ResponseWriter }

func (w emptying) Write(b []byte) (int, error) {
	_, err := w.ResponseWriter.Write(bytes.ReplaceAll(b, []byte(`"name":"nowhere","namespace":"bench"`), []byte(`"generation":2`)))
	return len(b), err
}

func (w emptying) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// fixed is a source of members that never change.
type fixed []registration.Registration

func (f fixed) Run(ctx context.Context, update func([]registration.Registration)) error {
	update(f)
	<-ctx.Done()
	return nil
}

type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(b))
	return len(b), nil
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.text {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// follow runs an engine whose only member, which exports and may have its exports' statuses written, is a cluster served by a
// handler.
func follow(t *testing.T, c *provider.Cluster, served http.Handler) (*members.Set, prometheus.Gatherer, *lines) {
	t.Helper()
	server := httptest.NewUnstartedServer(served)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(func() { c.SetDown(true) }) // ends the watches

	said, registry := &lines{}, prometheus.NewPedanticRegistry()
	log := slog.New(slog.NewTextHandler(said, nil))
	engine := New(Options{ClusterSet: "lied-to", Workers: 1, Log: log, Registerer: registry})
	set := members.NewSet(engine, log, members.Options{ClusterSet: "lied-to", ProbeInterval: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		_ = set.Run(ctx, fixed{{
			ID: "p", Origin: "test", Provider: true, ExportStatus: true, Revision: "1",
			Config: &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		}})
	})
	running.Go(func() { _ = engine.Run(ctx, set) })
	return set, registry, said
}

// TestNamesOfALyingServer_X2: names that no object can have, from a list and from a watch of a member's API server, become keys
// of nothing: they are reported once, the engine does not take them for all names, and what is honest is followed as ever.
func TestNamesOfALyingServer_X2(t *testing.T) {
	c := provider.New("p", 1, []string{"first", "nowhere"}, 0, 1)
	set, registry, said := follow(t, c, liar{c})

	knows := func(names ...string) func() bool {
		return func() bool {
			return len(set.Members()) == 1 && set.Members()[0].ProviderSynced() && !slices.ContainsFunc(names, func(name string) bool {
				return set.Members()[0].Export(types.NamespacedName{Namespace: provider.Namespace, Name: name}) == nil
			})
		}
	}
	await(t, "the list is read", knows("first"))
	for range 50 {
		for _, name := range []string{"", "nowhere", "No_Name", "-", "a/b", strings.Repeat("x", 300)} {
			c.Export(name)
		}
	}
	c.Export("after")
	await(t, "the watch is read", knows("first", "after"))
	before := reconciles(t, registry)
	for n := range 5 {
		c.Export(fmt.Sprintf("later-%d", n))
		await(t, "an honest export is seen", knows(fmt.Sprintf("later-%d", n)))
	}
	// Each export is tried about ten times within a second, with back-off, since this server refuses its status.
	began := time.Now()
	await(t, "the tries of a second", func() bool { return time.Since(began) > time.Second })
	if n := reconciles(t, registry) - before; n > 300 {
		t.Errorf("%d names were reconciled in a second after 5 events: something stands for all of them", n)
	}
	for _, key := range set.Members()[0].Keys() {
		if n := key.Name; key.Namespace != provider.Namespace || n != "first" && n != "after" && !strings.HasPrefix(n, "later-") {
			t.Errorf("%q is a key", key)
		}
	}
	if n := said.count("names that no object can have"); n != 1 {
		t.Errorf("it was reported %d times, want once", n)
	}
}

// reconciles counts those of all clusters so far.
func reconciles(t *testing.T, registry prometheus.Gatherer) (n uint64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "mcs_controller_reconcile_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for end := time.After(60 * time.Second); !is(); {
		select {
		case <-ticks.C:
		case <-end:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
