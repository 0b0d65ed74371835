package follow

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// TestServers_L10_L6_X6: what servers do, in order; what a follower asks and hands on; and what it says of itself meanwhile. Errors have
// to come in this order; empty ones, that it follows, are not compared.
func TestServers_L10_L6_X6(t *testing.T) {
	long := strings.Repeat("1", 1000)
	honest := list("5", "a", "b")
	for name, c := range map[string]struct {
		initial bool
		answers []answer
		asked   string // the first requests
		got     string // the first of what the sink got
		errs    []string
		unbegun bool // it never comes to follow
		waits   bool // for what does not come; the others must not, however busy the machine is
	}{
		"reads, and watches": {
			answers: []answer{honest, stays(event("ADDED", item("c", "6")), event("MODIFIED", item("a", "7")), event("DELETED", item("b", "8")))},
			asked:   "page, watch 5", got: "begin, set a, set b, end 5, set c, set a, remove b",
		},
		"goes on where a watch ended": {
			answers: []answer{honest, sends(event("ADDED", item("c", "6"))), list("7"), quiet},
			asked:   "page, watch 5, check, watch 6", got: "begin, set a, set b, end 5, set c",
		},
		"a bookmark is a place": {
			answers: []answer{honest, sends(event("BOOKMARK", item("", "9"))), list("9"), quiet},
			asked:   "page, watch 5, check, watch 9",
		},
		"a watch falls silent": {
			waits:   true,
			answers: []answer{honest, stays(event("ADDED", item("c", "6"))), list("9"), sends(event("DELETED", item("c", "8")))},
			asked:   "page, watch 5, check, watch 6", got: "begin, set a, set b, end 5, set c, remove c",
		},
		"a watch falls silent, and no other opens": {
			waits:   true,
			answers: []answer{honest, quiet, list("9"), hangs, list("9"), quiet},
			asked:   "page, watch 5, check, watch 5, check, watch 5",
			errs:    []string{"namespaces: opening a watch: nothing came from the API server for 5s"},
		},
		"a watch falls silent, and so does the server": {
			waits:   true,
			answers: []answer{honest, quiet, hangs, list("9"), quiet},
			asked:   "page, watch 5, check, check, watch 5",
			errs:    []string{"namespaces: listing: nothing came from the API server for 5s"},
		},
		"a watch never opens": {
			waits:   true,
			answers: []answer{honest, hangs, list("5"), hangs, list("5"), hangs},
			asked:   "page, watch 5, check, watch 5, check",
			errs:    []string{"namespaces: opening a watch: nothing came from the API server for 5s"},
			unbegun: true,
		},
		"a page stops coming": {
			waits:   true,
			answers: []answer{listing("5", "more", item("a", "1")), hangs, honest, quiet},
			asked:   "page, page more, page, watch 5", got: "begin, set a, begin, set a, set b, end 5",
			errs: []string{"namespaces: listing: nothing came from the API server for 5s"},
		},
		"a list outlives the server's history": {
			answers: []answer{listing("5", "more", item("a", "1")), fails(410, "Expired"), honest, quiet},
			asked:   "page, page more, page, watch 5", got: "begin, set a, begin, set a, set b, end 5",
		},
		"the place of a watch is forgotten": {
			answers: []answer{honest, fails(410, "Expired"), honest, sends(event("ERROR", status(410, "Expired"))), list("6", "c"), quiet},
			asked:   "page, watch 5, page, watch 5, page, watch 6", got: "begin, set a, set b, end 5, begin, set a, set b, end 5, begin, set c, end 6",
		},
		"the server was restored": {
			answers: []answer{honest, sends(), list("3"), list("3", "a"), quiet},
			asked:   "page, watch 5, check, page, watch 3", got: "begin, set a, set b, end 5, begin, set a, end 3",
		},
		"the server was not restored": {
			answers: []answer{honest, sends(), list("5"), quiet},
			asked:   "page, watch 5, check, watch 5",
		},
		"an error in place of an event": {
			answers: []answer{honest, sends(event("ADDED", item("c", "6")), event("ERROR", status(500, "InternalError"))), list("6"), quiet},
			asked:   "page, watch 5, check, watch 6", errs: []string{"namespaces: watching: "},
		},
		"not allowed, and then allowed": {
			answers: []answer{fails(403, "Forbidden"), honest, fails(403, "Forbidden"), list("5"), quiet},
			asked:   "page, page, watch 5, check, watch 5", errs: []string{"namespaces: listing: ", "namespaces: opening a watch: "},
		},
		"streams all objects": {
			initial: true,
			answers: []answer{stays(event("ADDED", item("a", "1")), event("BOOKMARK", item("", "5", allTold)), event("ADDED", item("c", "6")))},
			asked:   "stream", got: "begin, set a, end 5, set c",
		},
		"streaming is refused, and accepted later": {
			initial: true,
			answers: []answer{fails(400, "BadRequest"), honest, fails(410, "Gone"), sends(event("BOOKMARK", item("", "7", allTold))), list("7"), quiet},
			asked:   "stream, page, watch 5, stream, check, watch 7", got: "begin, set a, set b, end 5, begin, end 7",
		},
		"streaming is refused by an event": {
			initial: true,
			answers: []answer{sends(event("ERROR", status(500, "InternalError"))), honest, quiet},
			asked:   "stream, page, watch 5", got: "begin, begin, set a, set b, end 5",
		},
		"streaming ends too soon": {
			initial: true,
			answers: []answer{sends(event("ADDED", item("a", "1"))), stays(event("BOOKMARK", item("", "7", allTold)))},
			asked:   "stream, stream", got: "begin, set a, begin, end 7", errs: []string{"namespaces: a watch ended before all objects had arrived: "},
		},
		"streaming falls silent": {
			waits:   true,
			initial: true,
			answers: []answer{stays(event("ADDED", item("a", "1"))), stays(event("BOOKMARK", item("", "7", allTold)))},
			asked:   "stream, stream", got: "begin, set a, begin, end 7",
			errs: []string{"namespaces: a watch ended before all objects had arrived: nothing came from the API server for 5s"},
		},
		"hostile: a list without a version": {
			answers: []answer{list("", "a"), honest, quiet}, asked: "page, page, watch 5", got: "begin, begin, set a, set b, end 5",
			errs: []string{"namespaces: listing: no resourceVersion came with it"},
		},
		"hostile: a list with a long version": {
			answers: []answer{list(long, "a"), honest, quiet}, asked: "page, page, watch 5", got: "begin, begin, set a, set b, end 5",
			errs: []string{"namespaces: listing: a resourceVersion of more than"},
		},
		"hostile: an object without a version": {
			answers: []answer{honest, sends(event("ADDED", item("c", ""))), list("5"), quiet}, asked: "page, watch 5, check, watch 5",
			got: "begin, set a, set b, end 5", errs: []string{"namespaces: watching: no resourceVersion came with it"},
		},
		"hostile: bookmarks with a long version, and without": {
			answers: []answer{honest, sends(event("BOOKMARK", item("", long)), event("BOOKMARK", item("", ""))), list("5"), quiet}, asked: "page, watch 5, check, watch 5",
		},
		"hostile: the end of all objects without a version": {
			initial: true,
			answers: []answer{sends(event("BOOKMARK", item("", "", allTold))), stays(event("BOOKMARK", item("", "7", allTold)))},
			asked:   "stream, stream", got: "begin, begin, end 7", errs: []string{"namespaces: a watch ended before"},
		},
		"hostile: another kind in a list": {
			answers: []answer{func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"n","resourceVersion":"1"}}]}`)
			}, honest, quiet}, asked: "page, page, watch 5", errs: []string{"namespaces: listing: got a *v1.Node"},
		},
		"hostile: no list": {
			answers: []answer{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, item("a", "1")) }, honest, quiet},
			asked:   "page, page, watch 5", errs: []string{"namespaces: listing: got a *v1.Namespace"},
		},
		"hostile: another kind in a watch": {
			answers: []answer{honest, sends(event("ADDED", `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n","resourceVersion":"6"}}`)), list("5"), quiet},
			asked:   "page, watch 5, check, watch 5", errs: []string{"namespaces: watching: got a *v1.Node"},
		},
		"hostile: a failure that is an object": {
			answers: []answer{honest, sends(event("ADDED", status(200, ""))), list("5"), quiet},
			asked:   "page, watch 5, check, watch 5", errs: []string{"namespaces: watching: got a *v1.Status"},
		},
		"hostile: an event of no type": {
			answers: []answer{honest, sends(event("GROWN", item("a", "6"))), list("5"), quiet}, asked: "page, watch 5, check, watch 5",
			errs: []string{"namespaces: watching: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, sink := newServer(t, c.answers...), &notes{}
			f := s.follower(t, sink)
			f.Initial, f.Silence, f.Patience = c.initial, time.Hour, time.Hour
			if c.waits {
				f.Silence, f.Patience = 5*time.Second, 5*time.Second
			}
			var mu sync.Mutex
			var told []string
			follows := false
			f.Changed = func(s State) {
				mu.Lock()
				defer mu.Unlock()
				if follows = s.Err == nil; s.Err != nil {
					told = append(told, s.Err.Error())
				}
			}
			start(t, f)
			count := len(strings.Split(c.asked, ", "))
			gotten := len(strings.Split(c.got, ", "))
			eventually(t, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(s.requests()) >= count && len(sink.all()) >= gotten && (follows || c.unbegun) && len(told) >= len(c.errs)
			}, func() any { return fmt.Sprint("asked ", s.requests(), ", got ", sink.all(), ", ", f.State()) })
			if got := strings.Join(s.requests()[:count], ", "); got != c.asked {
				t.Errorf("asked %s, want %s", got, c.asked)
			}
			if got := strings.Join(sink.all()[:gotten], ", "); c.got != "" && got != c.got {
				t.Errorf("got %s, want %s", got, c.got)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, want := range c.errs {
				if !strings.HasPrefix(told[i], want) {
					t.Errorf("said %q, want %q", told[i], want)
				}
			}
			if len(c.errs) == 0 && len(told) > 0 {
				t.Errorf("said %q", told)
			}
			if f.State().Synced == c.unbegun {
				t.Errorf("synced: %t", f.State().Synced)
			}
		})
	}
}

// TestTriesOfAServer_X6: a server that ends each watch after an event, or loses the place with each, is not asked again and again at
// once, and the state gives the reason.
func TestTriesOfAServer_X6(t *testing.T) {
	const perTry = 2 // requests: the place is looked at, and watched from
	for name, c := range map[string]struct {
		watch  answer
		reason string
	}{
		"ends after an event":     {sends(event("ADDED", item("c", "100"))), "a watch ended after "},
		"ends at once":            {sends(), "a watch ended after "},
		"loses the place":         {sends(event("ERROR", status(410, "Expired"))), "watching: "},
		"loses it after an event": {sends(event("ADDED", item("c", "100")), event("ERROR", status(410, "Expired"))), "watching: "},
		"refuses the place":       {fails(410, "Expired"), "opening a watch: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var answers []answer
			for range 100 {
				answers = append(answers, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("watch") == "" {
						list("100")(w, r)
						return
					}
					c.watch(w, r)
				})
			}
			s := newServer(t, answers...)
			f := s.follower(t, &notes{})
			f.Tries = NewTries(time.Hour)
			refused := make(chan error, 100)
			f.Changed = func(s State) {
				if s.Err != nil {
					refused <- s.Err
				}
			}
			start(t, f)
			if err := <-refused; !strings.HasPrefix(err.Error(), "namespaces: the API server was asked too often; waiting: "+c.reason) {
				t.Errorf("said %v", err)
			}
			if got := len(s.requests()); got > perTry*triesInARow {
				t.Errorf("%d requests: %v", got, s.requests())
			}
		})
	}
}

// TestTriesOfAProxy_L10_X6: a proxy that cuts every stream after triesEvery or more does not use up the tries, though each cut costs two
// requests; one that cuts sooner does.
func TestTriesOfAProxy_L10_X6(t *testing.T) {
	for name, c := range map[string]struct {
		life  time.Duration
		fails bool
	}{
		"cuts after a minute": {life: time.Minute},
		"cuts after 16 s":     {life: triesEvery + time.Second},
		"cuts after 5 s":      {life: triesEvery / 3, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				failures := 0
				f := &Follower{Connect: To(cut{c.life}), Sink: &notes{}, Changed: func(s State) {
					if s.Err != nil && ctx.Err() == nil {
						failures++
					}
				}}
				f.Run(ctx)
				if failures > 0 != c.fails || !f.State().Synced {
					t.Errorf("not followed %d times, synced: %t", failures, f.State().Synced)
				}
			})
		})
	}
}

// cut is a source of nothing, of which each watch is cut after a while.
type cut struct{ after time.Duration }

func (c cut) Page(context.Context, metav1.ListOptions) (Page, error) {
	return func() (runtime.Object, error) {
		return &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
	}, nil
}

func (c cut) Watch(ctx context.Context, _ metav1.ListOptions) (Feed, error) {
	return cutWatch{ctx, time.After(c.after)}, nil
}

type cutWatch struct {
	ctx context.Context
	cut <-chan time.Time
}

func (c cutWatch) Next() (watch.EventType, runtime.Object, error) {
	select {
	case <-c.ctx.Done():
		return "", nil, c.ctx.Err()
	case <-c.cut:
		return "", nil, io.ErrUnexpectedEOF
	}
}

func (cutWatch) Close() {}

// TestStops: a follower ends with its context, whatever it waits for.
func TestStops(t *testing.T) {
	for name, answers := range map[string][]answer{
		"for a page":           {hangs},
		"for a watch":          {list("5"), hangs},
		"for an event":         {list("5"), quiet},
		"for the next try":     {fails(500, "InternalError")},
		"for the streamed end": {sends()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answers...)
			f := s.follower(t, &notes{})
			f.Wait = Backoff{First: time.Hour, Most: time.Hour}
			start(t, f) // whose end waits for it
			eventually(t, func() bool { return len(s.requests()) == len(answers) }, func() any { return s.requests() })
		})
	}
}

// TestKick: a wait after a failure ends when somebody knows better.
func TestKick(t *testing.T) {
	s := newServer(t, fails(500, "InternalError"))
	f := s.follower(t, &notes{})
	f.Wait = Backoff{First: time.Hour, Most: time.Hour}
	start(t, f)
	eventually(t, func() bool { return f.State().Err != nil }, func() any { return s.requests() })
	f.Kick()
	eventually(t, func() bool { return f.State() == State{Synced: true} }, func() any { return f.State() })
	if want := []string{"page", "page", "watch 100"}; !slices.Equal(s.requests(), want) {
		t.Errorf("asked %v", s.requests())
	}
}
