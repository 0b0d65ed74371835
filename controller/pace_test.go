package controller

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/test/bench/provider"
)

func named(n int) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("s%d", n)}
}

// TestPace_X6: however often a name is to be written, it is written as often as an ordinary change takes and then once a second;
// the wait for that is never longer, and other names do not wait.
func TestPace_X6(t *testing.T) {
	const long = 10 * time.Minute
	for name, tc := range map[string]struct {
		every, most time.Duration // between two changes; that one waits
		writes      int           // in ten minutes
	}{
		"a flood":                {time.Millisecond, writeEvery, writesInARow + int(long/writeEvery)},
		"ten a second":           {100 * time.Millisecond, writeEvery, writesInARow + int(long/writeEvery)},
		"as many as are written": {writeEvery, 0, int(long / writeEvery)},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Unix(1000, 0)
			p, writes := newPace(began), 0
			for at := time.Duration(0); at < long; at += tc.every {
				wait := p.wait(only(named(1)), began.Add(at))
				if wait > tc.most {
					t.Fatalf("after %v a change waits %v", at, wait)
				}
				if wait == 0 {
					writes++
					p.spend(only(named(1)), began.Add(at))
				}
			}
			if writes > tc.writes || writes < tc.writes*9/10 {
				t.Errorf("%d writes in %v, want %d", writes, long, tc.writes)
			}
			if wait := p.wait(only(named(2)), began.Add(long)); wait > 0 {
				t.Errorf("another name waits %v", wait)
			}
		})
	}
	t.Run("a rollout of 25 pods", func(t *testing.T) {
		p, now := newPace(time.Unix(0, 0)), time.Unix(9, 0)
		for n := range 50 {
			if wait := p.wait(only(named(1)), now); wait > 0 {
				t.Fatalf("its change %d waits %v", n, wait)
			}
			p.spend(only(named(1)), now)
		}
	})
	t.Run("names that no longer change", func(t *testing.T) {
		p := newPace(time.Unix(0, 0))
		for n := range 100_000 {
			p.spend(only(named(n)), time.Unix(0, 0).Add(time.Duration(n)*10*time.Millisecond))
		}
		if n := len(p.even); n > 20_000 {
			t.Errorf("%d names are kept, of which 5000 changed in the last %v", n, writesInARow*writeEvery)
		}
	})
}

// TestWholeLooks_X6: a cluster whose namespaces come and go without end has its names looked at as often as all names at most are;
// what does not have its turn ends in a look at all names, within a second.
func TestWholeLooks_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiting(t)
		looks := map[reach]int{}
		for range 60 * 100 {
			w.lane.add(within(fmt.Sprint(rand.N(1000))))
			for w.lane.queue.Len() > 0 {
				names, _ := w.lane.queue.Get()
				if !w.lane.waits(names, time.Now()) {
					looks[names.reach]++
					w.seen[names] = time.Now()
				}
				w.lane.queue.Done(names)
			}
			if at := w.seen[everything]; looks[wholeNamespace] > writesInARow && time.Since(at) > 2*writeEvery {
				t.Fatalf("all names were last looked at %v ago", time.Since(at))
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if most := writesInARow + 60; looks[wholeNamespace] > most || looks[allNames] > most || looks[wholeNamespace] < writesInARow {
			t.Errorf("%d looks at a namespace and %d at all in a minute, want at most %d each", looks[wholeNamespace], looks[allNames], most)
		}
	})
}

// waiting is a controller of one lane that nobody works for, and what went through its queue.
type waiting struct {
	*Controller
	lane   *lane
	member *members.Member // whose changes are counted
	seen   map[scope]time.Time
	passed int
}

func newWaiting(t *testing.T) *waiting {
	w := &waiting{Controller: New(Options{Log: slog.New(slog.DiscardHandler)}), member: &members.Member{}, seen: map[scope]time.Time{}}
	w.ctx = t.Context()
	w.lane = &lane{pace: newPace(time.Now()), queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[scope]())}
	t.Cleanup(w.lane.queue.ShutDown)
	w.lanes[&members.Member{}] = w.lane
	w.backlogs[w.member] = newBacklog()
	return w
}

// state is what the test looks at of a backlog.
type state struct {
	waits         int
	timer, warned bool
}

// now returns the state of a member's backlog at present.
func (w *waiting) now(m *members.Member) state {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.backlogs[m]
	return state{waits: len(b.order), timer: b.timer != nil, warned: b.warned}
}

// pass takes what is due.
func (w *waiting) pass() {
	for w.lane.queue.Len() > 0 {
		names, _ := w.lane.queue.Get()
		w.lane.queue.Done(names)
		w.seen[names] = time.Now()
		w.passed++
	}
}

// TestBacklog_X6: whatever a member changes, it wakes no more names than its share; each of its names is looked at after its last
// change, in the time that all of them take; another member's changes do not wait; and what waits is bounded.
func TestBacklog_X6(t *testing.T) {
	for name, tc := range map[string]struct {
		names   int // that the member changes in turn
		perTick int // in 10 ms
		most    int // names woken in a minute
		all     bool
	}{
		"4096 names flip":     {names: 4096, perTick: 100, most: changesInARow + 60*changesPerSecond},
		"one name flips":      {names: 1, perTick: 100, most: changesInARow + 60*changesPerSecond},
		"names come and go":   {names: 1 << 30, perTick: 50, most: changesInARow + 60*changesPerSecond, all: true},
		"5000 names, at once": {names: 5000, perTick: 20_000, most: 5000 * 61},
		"80 changes a second": {names: 4096, perTick: 1, most: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, honest := newWaiting(t), &members.Member{}
				w.backlogs[honest] = newBacklog()
				last := map[scope]time.Time{}
				n := 0
				for tick := range 60 * 100 {
					for range tc.perTick {
						if strings.HasPrefix(name, "5000") && tick > 0 || strings.HasPrefix(name, "80 ") && tick%5 == 4 {
							continue
						}
						key := only(named(n % tc.names))
						n++
						w.Changed(w.member, key.name)
						last[key] = time.Now()
					}
					if tick%100 == 50 {
						key := types.NamespacedName{Namespace: "honest", Name: "cart"}
						w.Changed(honest, key)
						w.pass()
						if w.seen[only(key)] != time.Now() {
							t.Fatal("another member's change waits")
						}
					}
					w.pass()
					if n := w.now(w.member).waits; n > mostWaiting {
						t.Fatalf("%d names wait", n)
					}
					time.Sleep(10 * time.Millisecond)
				}
				if w.passed > tc.most+60 {
					t.Errorf("%d names were woken in a minute, want at most %d", w.passed, tc.most)
				}
				for range 180 * 10 {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
					w.pass()
				}
				for key, at := range last {
					if w.seen[key].Before(at) && w.seen[everything].Before(at) {
						t.Fatalf("the last change of %v is lost", key)
					}
				}
				if looked := !w.seen[everything].IsZero(); looked != tc.all {
					t.Errorf("all names were looked at: %v", looked)
				}
				if tc.names <= 5000 && w.now(w.member).warned != (tc.perTick == 100) {
					t.Errorf("a delay was reported: %v", !(tc.perTick == 100))
				}
			})
		})
	}
}

// TestBacklogEnds_X6: what waits for a member ends with it, also where its watches report something a moment later; what waits
// when all names are looked at anyway no longer does, and what changes after that is looked at in its turn.
func TestBacklogEnds_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaiting(t)
		flood := func() {
			for n := range changesInARow + 100 {
				w.Changed(w.member, named(n))
			}
			w.pass()
		}
		flood()
		if !w.now(w.member).timer {
			t.Fatal("nothing waits")
		}
		for range 3 { // also where the timer fires at that moment
			w.Synced(w.member)
			if is := w.now(w.member); is.timer || is.waits > 0 {
				t.Error("names wait though all are looked at")
			}
			w.pass()
			last := only(named(1 << 20))
			w.Changed(w.member, last.name)
			at := time.Now()
			time.Sleep(time.Second + 2*time.Millisecond)
			synctest.Wait()
			w.pass()
			if w.seen[last].Before(at) {
				t.Fatal("what changed afterwards is lost")
			}
			flood()
		}
		w.Left(w.member)
		w.pass()
		flood()
		if len(w.backlogs) > 0 {
			t.Errorf("%d backlogs are kept of members that left", len(w.backlogs))
		}
		passed := w.passed
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.pass(); w.passed != passed {
			t.Errorf("%d names were woken after the member left", w.passed-passed)
		}
	})
}

// patched is an API server that takes the status of exports, and forgets it at once.
type patched struct {
	*provider.Cluster
	mu       sync.Mutex
	versions map[string][]string // of each export, those that a status was written to
}

func (p *patched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPatch {
		p.Cluster.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var o map[string]any
	_ = json.Unmarshal(body, &o)
	meta := o["metadata"].(map[string]any)
	name := path.Base(path.Dir(r.URL.Path))
	p.mu.Lock()
	p.versions[name] = append(p.versions[name], meta["resourceVersion"].(string))
	p.mu.Unlock()
	o["apiVersion"], o["kind"] = "multicluster.x-k8s.io/v1beta1", "ServiceExport"
	meta["name"], meta["namespace"] = name, provider.Namespace
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o)
}

// writes returns how many there were of an export's status, and the version that the last was to.
func (p *patched) writes(name string) (n int, last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n = len(p.versions[name]); n > 0 {
		last = p.versions[name][n-1]
	}
	return n, last
}

// TestFlippingMember_X6: a member whose API server sends changes of an export without end has it written as often as an ordinary
// change takes and then once a second; when that ends, what is true then is written. Events that change nothing wake nothing.
func TestFlippingMember_X6(t *testing.T) {
	c := provider.New("p", 1, []string{"flips", "still"}, 0, 1)
	server := &patched{Cluster: c, versions: map[string][]string{}}
	set, registry, _ := follow(t, c, server)
	key := types.NamespacedName{Namespace: provider.Namespace, Name: "flips"}
	await(t, "the first statuses", func() bool {
		a, _ := server.writes("flips")
		b, _ := server.writes("still")
		return a > 0 && b > 0
	})
	member := set.Members()[0]
	created := func() int64 { return member.Export(key).CreationTimestamp.Unix() }

	began, n := time.Now(), int64(0)
	await(t, "some seconds of changes, and writes", func() bool {
		for range 20 {
			n++
			c.ExportAs("flips", n)
		}
		count, _ := server.writes("flips")
		return time.Since(began) > 3*time.Second && count >= writesInARow/2
	})
	await(t, "the last change is seen", func() bool { return created() == n })
	count, _ := server.writes("flips")
	if most := writesInARow + int(time.Since(began)/writeEvery) + 2; count > most {
		t.Errorf("%d writes in %v of %d changes, want at most %d", count, time.Since(began), n, most)
	}
	await(t, "the last change is written", func() bool {
		_, last := server.writes("flips")
		return last == member.Export(key).ResourceVersion
	})

	key.Name = "still"
	before, version := reconciles(t, registry), member.Export(key).ResourceVersion
	same := created()
	for range 2000 {
		c.ExportAs("still", same)
	}
	c.Export("after")
	await(t, "what comes after the events that change nothing", func() bool {
		return member.Export(types.NamespacedName{Namespace: provider.Namespace, Name: "after"}) != nil
	})
	if v := member.Export(key).ResourceVersion; v == version {
		t.Error("the events are not seen")
	}
	if n := reconciles(t, registry) - before; n > 20 {
		t.Errorf("%d reconciles after 2000 events that change nothing", n)
	}
	if n, _ := server.writes("still"); n > 10 {
		t.Errorf("%d writes of what did not change", n)
	}
}
