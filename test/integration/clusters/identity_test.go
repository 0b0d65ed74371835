package clusters

import (
	"testing"

	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestIdentity_X4 holds that one id has one cluster, and one cluster one id; who came first keeps it.
func TestIdentity_X4(t *testing.T) {
	a, b := start(t, controlplane.Options{Name: "a"}), start(t, controlplane.Options{Name: "b"})
	again := b.as("a")
	again.Origin = "test again"
	s := newSource(a.as("a"), again)
	r := run(t, s)
	m := r.synced(t, "a")
	if len(r.Members()) != 1 || r.log.count(`cluster id \"a\" is held by test a; want another id`) != 1 {
		t.Errorf("two registrations with one id gave %d members; log:\n%s", len(r.Members()), r.log)
	}
	if host := m.Registration().Config.Host; host != a.Config().Host {
		t.Errorf("the second registration won: %s", host)
	}

	twin := a.as("twin")
	s.set(a.as("a"), twin)
	kit.True(t, "the twin is refused", func() bool { return r.log.count("it is the same cluster as member a") > 0 })
	if refused := r.member(t, "twin"); refused.ProviderSynced() || refused.Keys() != nil {
		t.Error("the twin is read")
	}
	s.set(twin)
	r.synced(t, "twin")

	s.set(again)
	r.synced(t, "a")
	if got := r.Members(); len(got) != 1 || got[0].Registration().Config.Host != b.Config().Host {
		t.Error("the id is not free after its holder left")
	}
}

// TestWrongCredentials_X4 holds that a member which is given the credentials of another one's cluster stays what it was, and
// takes nothing from the other, whoever came first.
func TestWrongCredentials_X4(t *testing.T) {
	a, b := start(t, controlplane.Options{Name: "a"}), start(t, controlplane.Options{Name: "b"})
	s := newSource(a.as("a"))
	r := run(t, s)
	first := r.synced(t, "a")
	s.set(a.as("a"), b.as("b"))
	second := r.synced(t, "b")
	a.namespace("n")
	b.namespace("n")
	a.export("n", "of-a")
	b.export("n", "of-b")

	wrongA, wrongB := b.as("a"), a.as("b")
	wrongA.Origin, wrongB.Origin = a.as("a").Origin, b.as("b").Origin
	s.set(wrongA, wrongB)
	for _, why := range []string{"it is the same cluster as member b, registered by test b", "it is the same cluster as member a, registered by test a"} {
		kit.True(t, why, func() bool { return r.log.count(why) > 0 })
	}
	kit.True(t, "each is what it was", func() bool {
		return first.Export(key("n", "of-a")) != nil && first.Export(key("n", "of-b")) == nil && first.ProviderSynced() &&
			second.Export(key("n", "of-b")) != nil && second.Export(key("n", "of-a")) == nil && second.ProviderSynced()
	})
	s.set(a.as("a"), b.as("b"))
	a.export("n", "late")
	b.export("n", "late")
	kit.True(t, "the right credentials are in use", func() bool {
		return first.Export(key("n", "late")) != nil && second.Export(key("n", "late")) != nil && len(r.Members()) == 2
	})
}

// TestNeverReached_X4 holds that a member which was registered first and never reached, and whose API server then says that it
// is the cluster of another, connected member, does not take that one's place: a server says of itself what it likes.
func TestNeverReached_X4(t *testing.T) {
	b := start(t, controlplane.Options{Name: "b"})
	away := b.as("a")
	away.Config, away.Revision = &rest.Config{Host: "https://127.0.0.1:1"}, "away"
	s := newSource(away, b.as("b"))
	r := run(t, s)
	connected := r.synced(t, "b")

	posing := b.as("a")
	posing.Origin = away.Origin
	s.set(posing, b.as("b"))
	kit.True(t, "who poses as another is refused", func() bool { return r.log.count("it is the same cluster as member b, registered by test b") > 0 })
	b.namespace("n")
	b.export("n", "of-b")
	kit.True(t, "b is followed still", func() bool { return connected.Export(key("n", "of-b")) != nil && connected.ProviderSynced() })
	if poses := r.member(t, "a"); poses.ProviderSynced() || poses.Keys() != nil {
		t.Error("who poses as another is read")
	}
	if n := r.log.count("it is the same cluster as member a"); n != 0 {
		t.Errorf("b was refused %d times; log:\n%s", n, r.log)
	}
}
