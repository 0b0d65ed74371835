package members

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/follow"
)

// TestChosenWithinLimits_X3: of names that a member may not export nothing is kept; when its limits change, what it may export from
// then on is read, and not taken for known before, and of what it may no longer export everything goes.
func TestChosenWithinLimits_X3(t *testing.T) {
	m := &Member{}
	limit := func(namespaces ...string) { m.mu.Lock(); m.reg.Limits.Exports = namespaces; m.limited++; m.mu.Unlock() }
	limit("shop")
	c, err := newConnection(m, registration.Registration{Config: &rest.Config{Host: "https://127.0.0.1:1"}, Provider: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	meta := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: "cart", ResourceVersion: "5"}
	}
	shop, other := types.NamespacedName{Namespace: "shop", Name: "cart"}, types.NamespacedName{Namespace: "other", Name: "cart"}
	exports := c.exportStore()
	c.exports.Current.Store(&mirror.Version[*mcs.ServiceExport]{Feed: mirror.NewFeed(mirror.Kind[*mcs.ServiceExport]{}, exports, func() {})})
	for _, name := range []types.NamespacedName{shop, other} {
		exports.Put(&mcs.ServiceExport{ObjectMeta: meta(name.Namespace)})
	}

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	c.ctx, c.reads = ctx, reads{ctx: ctx, start: running.Go, most: 2, sooner: make(chan struct{}, 1)}
	answer := make(chan struct{}) // closed when reads of one name are answered
	c.services.Kind.Source = func(namespace string) follow.Source {
		return fakeServices(func(ctx context.Context) (*corev1.ServiceList, error) {
			list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}}
			if namespace != "" {
				select {
				case <-answer:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			for _, of := range []string{"shop", "other"} {
				if namespace == "" || namespace == of {
					list.Items = append(list.Items, corev1.Service{ObjectMeta: meta(of)})
				}
			}
			return list, nil
		})
	}
	running.Go(func() { c.services.Run(ctx) })
	until := func(what string, done func() bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	services := c.services.Store
	until("the first list", func() bool { return c.services.State().Synced })
	c.chooseAnew()
	if !services.Knows(shop) || services.Get(shop) == nil || services.Knows(other) || services.Get(other) != nil {
		t.Errorf("shop is known: %v; other, from which nothing may be exported: known %v, kept %v", services.Knows(shop), services.Knows(other), services.Get(other) != nil)
	}
	limit("shop", "other")
	c.chooseAnew()
	if services.Knows(other) {
		t.Error("what was never read counts as known")
	}
	close(answer)
	until("the name that is allowed now", func() bool { return services.Knows(other) && services.Get(other) != nil })
	limit("other")
	c.chooseAnew()
	if services.Knows(shop) || services.Get(shop) != nil || services.Get(other) == nil {
		t.Error("what is no longer allowed is kept")
	}
}

// exporting returns a connection that starts a version of ServiceExports at a store of the test's.
func exporting(t *testing.T, m *Member) (c *connection, start func(version string, exported ...string) *mirror.Version[*mcs.ServiceExport]) {
	t.Helper()
	c, err := newConnection(m, registration.Registration{Config: &rest.Config{Host: "https://127.0.0.1:1"}, Provider: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(version string, exported ...string) *mirror.Version[*mcs.ServiceExport] {
		store := c.exportStore()
		v := &mirror.Version[*mcs.ServiceExport]{Name: version, Feed: mirror.NewFeed(mirror.Kind[*mcs.ServiceExport]{}, store, func() {}), Stop: func() {}}
		follow := func(string) (*mirror.Version[*mcs.ServiceExport], error) { return v, nil }
		if err := c.exports.Follow(version, follow); err != nil {
			t.Fatal(err)
		}
		for _, name := range exported {
			store.Put(&mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "5"}})
		}
		return v
	}
}

func picked(c *connection) string {
	var names []string
	for name := range c.sources.Store.Picked() {
		names = append(names, name.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestReplacedStoresSelectNothing_X6: names that only a store held which is no longer read are not selected for ever: neither those
// of a version that gave way to another, nor of one that went away while it was read, nor of other credentials.
func TestReplacedStoresSelectNothing_X6(t *testing.T) {
	c, start := exporting(t, &Member{handler: nobody{}})
	old := start("v1alpha1", "cart", "old")
	c.exports.Next.Store(nil)
	c.exports.Current.Store(old)
	c.chooseAnew()
	start("v1beta1", "cart", "young")
	c.chooseAnew()
	if got := picked(c); got != "cart old young" {
		t.Fatalf("while a version is read: %s", got)
	}
	if err := c.exports.Follow("v1alpha1", nil); err != nil { // it went away again
		t.Fatal(err)
	}
	c.chooseAnew()
	if got := picked(c); got != "cart old" {
		t.Errorf("after it went away: %s", got)
	}
	next := start("v1beta1", "cart", "new")
	c.exports.Next.Store(nil)
	c.exports.Current.Store(next)
	c.chooseAnew()
	if got := picked(c); got != "cart new" {
		t.Errorf("after it came in place of the other: %s", got)
	}
	old.Feed.Store.Put(&mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "late", ResourceVersion: "6"}})
	if got := picked(c); got != "cart new" {
		t.Errorf("after a late event of a version that is no longer read: %s", got)
	}
	again, start := exporting(t, &Member{handler: nobody{}})
	other := start("v1beta1", "cart")
	again.exports.Next.Store(nil)
	again.exports.Current.Store(other)
	again.replace(c, func() {})
	if got := picked(again); got != "cart" {
		t.Errorf("by other credentials: %s", got)
	}
}

// TestLimitsThatChangeBack_X3: what is chosen while the limits are others for a moment is chosen anew, although they are what they were.
func TestLimitsThatChangeBack_X3(t *testing.T) {
	m := &Member{log: slog.New(slog.DiscardHandler), handler: nobody{}}
	c, start := exporting(t, m)
	limit := func(namespaces ...string) {
		m.limit(registration.Registration{Limits: registration.Limits{Exports: namespaces}})
	}
	limit("shop")
	v := start("v1beta1", "cart")
	c.chooseAnew()
	limit("other")
	v.Feed.Store.Put(&mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", ResourceVersion: "6", UID: "2"}})
	c.choose(types.NamespacedName{Namespace: "shop", Name: "cart"}) // as a step does that has not come to its end
	limit("shop")
	c.chooseAnew()
	if got := picked(c); got != "cart" {
		t.Errorf("chosen: %q", got)
	}
}

// nobody is told nothing.
type nobody struct{ Handler }

func (nobody) Synced(*Member)                        {}
func (nobody) Changed(*Member, types.NamespacedName) {}

// fakeServices is a source of Services in which nothing changes.
type fakeServices func(context.Context) (*corev1.ServiceList, error)

func (s fakeServices) Page(ctx context.Context, _ metav1.ListOptions) (follow.Page, error) {
	list, err := s(ctx)
	return func() (runtime.Object, error) { return list, nil }, err
}

func (s fakeServices) Watch(ctx context.Context, _ metav1.ListOptions) (follow.Feed, error) {
	return follow.Events(ctx, watch.NewFake()), nil
}
