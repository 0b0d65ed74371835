package multicluster

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"

	clog "github.com/coredns/coredns/plugin/pkg/log"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	errAway      = errors.New("connection refused")
	errNotServed = fmt.Errorf("serviceimports: %w", mcsapi.ErrNotServed)
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "endpointslices"}, "", nil)
	errUnknown   = apierrors.NewUnauthorized("")
)

func twoKinds() *health { return newHealth([]*stream{{kind: "imports"}, {kind: "slices"}}) }

// TestReady_D8: readiness waits for all kinds, and for ever if nobody answers; a denial it outlasts.
func TestReady_D8(t *testing.T) {
	f := newFixture(t, testZone)
	ready := func(h *health, patience time.Duration) bool {
		f.stanzas[0].patience = patience
		f.zones[0].source.health = h
		return f.Ready()
	}
	h := twoKinds()
	if ready(h, 0) {
		t.Error("ready before anything was read")
	}
	h.failed("imports", errAway)
	h.failed("slices", errAway)
	if ready(h, 0) {
		t.Error("ready while the API server is away")
	}
	h.fine("imports")
	h.loaded("imports")
	if ready(h, 0) {
		t.Error("ready with one kind of two")
	}
	for _, denial := range []error{errNotServed, errUnknown} {
		denied := twoKinds()
		denied.failed("imports", denial)
		if ready(denied, time.Hour) || !ready(denied, 0) {
			t.Errorf("not ready in the end: %v", denial)
		}
	}
	h.failed("slices", errForbidden)
	h.failed("slices", errForbidden)
	if ready(h, time.Hour) {
		t.Error("a denial is not waited for")
	}
	if !ready(h, 0) || h.synced.Load() {
		t.Error("a denial that lasts keeps the whole server from being ready")
	}
	h.fine("slices")
	if ready(h, 0) {
		t.Error("ready after the denial, before everything was read")
	}
	h.loaded("slices")
	if !ready(h, time.Hour) {
		t.Error("not ready although everything was read")
	}
	h.failed("imports", errAway)
	if !ready(h, time.Hour) {
		t.Error("what was read once is enough")
	}
	f.started.Store(false)
	if f.Ready() {
		t.Error("ready before it was started")
	}
}

// TestStreamsOfOneKind_D8_D10_G1: everything has been read when all streams of a kind have; of what is wrong with each, and of its
// end, people hear once.
func TestStreamsOfOneKind_D8_D10_G1(t *testing.T) {
	lines := logLines(t)
	h := newHealth([]*stream{{kind: "imports"}, {kind: "slices", part: "ours/"}, {kind: "slices", part: "others/"}})
	watching := func() (names []string) {
		for _, k := range h.states() {
			if k.watching {
				names = append(names, k.name)
			}
		}
		return names
	}
	h.loaded("imports")
	h.loaded("ours/slices")
	if h.synced.Load() || len(h.states()) != 2 || !slices.Equal(watching(), []string{"imports"}) {
		t.Errorf("synced %v, watching %q", h.synced.Load(), watching())
	}
	h.loaded("others/slices")
	if !h.synced.Load() || len(watching()) != 2 {
		t.Errorf("synced %v, watching %q", h.synced.Load(), watching())
	}
	h.failed("ours/slices", errForbidden)
	h.failed("others/slices", errForbidden)
	if got := lines(); len(got) > 0 {
		t.Errorf("each was denied once, which is no news: %q", got)
	}
	for range 2 {
		h.failed("ours/slices", errForbidden)
		h.failed("others/slices", errForbidden)
	}
	if got := lines(); len(got) != 1 || !strings.HasPrefix(got[0], "can't read slices: ") {
		t.Errorf("denied: logged %q", got)
	}
	h.fine("others/slices")
	if got := lines(); len(got) > 0 || !slices.Equal(watching(), []string{"imports"}) {
		t.Errorf("half allowed: logged %q, watching %q", got, watching())
	}
	h.fine("ours/slices")
	if got := lines(); len(got) != 1 || !strings.HasPrefix(got[0], "slices can be read again after ") || len(watching()) != 2 {
		t.Errorf("allowed: logged %q, watching %q", got, watching())
	}
}

// TestEveryServerBlock_D8: the plugin ready asks one of the server blocks; it answers for all.
func TestEveryServerBlock_D8(t *testing.T) {
	one, two := newFixture(t, testZone), newFixture(t, testZone)
	one.group = &group{members: []*Multicluster{one.Multicluster, two.Multicluster}}
	if !one.Ready() {
		t.Error("both are ready")
	}
	two.zones[0].source.health = twoKinds()
	if one.Ready() {
		t.Error("the other one is not ready")
	}
}

// TestWait_D10: starting waits for everything to be read, but not longer than it has patience, nor for what was denied. The
// times are those of a bubble, whose clock stands still while anything runs.
func TestWait_D10(t *testing.T) {
	const patience = 5 * time.Second
	for name, c := range map[string]struct {
		before  time.Duration // between the source's beginning and the wait
		happens func(*health) // one second after the wait began
		want    time.Duration
	}{
		"nothing happens":        {want: patience},
		"the source began first": {before: patience - time.Second/2, want: time.Second / 2},
		"patience is used up":    {before: patience + time.Second},
		"one kind of two":        {happens: func(h *health) { h.loaded("imports") }, want: patience},
		"the server is away":     {happens: func(h *health) { h.failed("imports", errAway) }, want: patience},
		"a kind is denied":       {happens: func(h *health) { h.failed("imports", errNotServed) }, want: time.Second},
		"everything is read":     {happens: func(h *health) { h.loaded("imports"); h.loaded("slices") }, want: time.Second},
		"everything is known":    {happens: func(h *health) { h.inherit() }, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := twoKinds()
				<-time.After(c.before) // of this test's own clock
				if c.happens != nil {
					time.AfterFunc(time.Second, func() { c.happens(h) })
				}
				began := time.Now()
				h.wait(patience)
				if waited := time.Since(began); waited != c.want {
					t.Errorf("waited %s, not %s", waited, c.want)
				}
				began = time.Now()
				if h.wait(patience); c.want < patience && c.before == 0 && time.Since(began) != 0 {
					t.Errorf("waited once more, for %s", time.Since(began))
				}
			})
		})
	}
}

// logLines returns a function that returns what the plugin has logged since it was called last.
func logLines(t *testing.T) (lines func() []string) {
	t.Helper()
	var out bytes.Buffer
	clog.SetOutput(&out)
	t.Cleanup(clog.Discard)
	return func() (all []string) {
		for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if _, text, ok := strings.Cut(line, "plugin/multicluster: "); ok {
				all = append(all, text)
			}
		}
		out.Reset()
		return all
	}
}

// TestLog_D10: one line for an outage, one for its end.
func TestLog_D10(t *testing.T) {
	lines := logLines(t)
	expect := func(what string, want ...string) {
		t.Helper()
		got := lines()
		if len(got) != len(want) {
			t.Fatalf("%s: logged %q", what, got)
		}
		for i := range got {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s: logged %q, not %q", what, got[i], want[i])
			}
		}
	}
	h := twoKinds()
	for range 3 {
		h.failed("imports", errAway)
		h.failed("slices", errAway)
	}
	expect("away at the start", "can't read imports: connection refused; answering SERVFAIL until it can be read")
	h.fine("imports")
	expect("half back")
	h.fine("slices")
	h.fine("slices")
	expect("back", "the API server is back after")
	h.loaded("imports")
	h.loaded("slices")
	for range 3 {
		h.failed("slices", errAway)
		h.failed("imports", errAway)
	}
	expect("away later", "can't read slices: connection refused; answers stay as they are")
	h.fine("imports")
	h.fine("slices")
	expect("back again", "the API server is back after")
	for range 3 {
		h.failed("imports", errNotServed)
		h.failed("slices", errForbidden)
	}
	expect("denied", "can't read imports: serviceimports: not served", "can't read slices: endpointslices is forbidden")
	h.fine("imports")
	h.fine("slices")
	expect("allowed", "imports can be read again after", "slices can be read again after")
	h.failed("imports", errAway)
	h.failed("imports", errNotServed)
	h.failed("imports", errNotServed)
	expect("away, then denied", "can't read imports: connection refused", "can't read imports: serviceimports: not served")
	h.fine("imports")
	expect("served", "imports can be read again after")

	h.failed("imports", errAway)
	h.failed("slices", errForbidden)
	h.failed("imports", errForbidden)
	h.fine("slices")
	h.fine("imports")
	expect("restarted", "can't read imports: connection refused", "the API server is back after")
	h.failed("slices", errForbidden)
	h.fine("slices")
	expect("denied for a moment")
	h.failed("imports", errAway)
	expect("away once more", "can't read imports: connection refused")

	h = twoKinds()
	h.failed("imports", errNotServed)
	for range 3 {
		h.hopeless(0)
	}
	expect("ready without", "can't read imports", "reporting ready although")
}
