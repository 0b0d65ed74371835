package controller

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/excerpt"
)

// The first retry of a name comes after retryFirst; each further one waits twice as long, up to retryMost.
const (
	retryFirst = 10 * time.Millisecond
	retryMost  = 2 * time.Minute
)

// lane is the queue and the workers of one member cluster.
type lane struct {
	c      *Controller
	member *members.Member
	queue  workqueue.TypedRateLimitingInterface[scope]
	pace   *pace
	events *recorder
	cancel context.CancelFunc
	done   sync.WaitGroup

	// known returns, as it was at first, the clusters whose exports some import remembers: a controller before this one served
	// this cluster, and knew them.
	known func() map[string]bool

	mu      sync.Mutex
	version string      // of ServiceImport that drops are learnt of, "" while the cluster's are not synced
	drops   plan.Fields // what this cluster's ServiceImport schema does not keep (SPEC A7); replaced, never changed
}

func newLane(ctx context.Context, c *Controller, m *members.Member) *lane {
	ctx, cancel := context.WithCancel(ctx)
	l := &lane{
		c: c, member: m, cancel: cancel,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[scope](retryFirst, retryMost)),
		pace:   newPace(time.Now()),
		events: newRecorder(ctx, m.Kube, c.opts.Log),
	}
	l.known = sync.OnceValue(l.anyMemory)
	l.lookAtSchema()
	c.metrics.watchQueue(m.ID(), l.queue.Len)
	for range max(c.opts.Workers, 1) {
		l.done.Go(func() { l.work(ctx) })
	}
	return l
}

// anyMemory returns the clusters whose exports some import in the cluster remembers.
func (l *lane) anyMemory() map[string]bool {
	known := map[string]bool{}
	for _, key := range l.member.Keys() {
		for _, e := range remembered(l.member.Import(key), l.c.opts.ClusterSet).Exports {
			known[e.Cluster] = true
		}
	}
	return known
}

func (l *lane) add(names scope) { l.queue.Add(names) }

// stop ends the lane without waiting for a write that is under way.
func (l *lane) stop() {
	l.cancel()
	l.queue.ShutDown()
	l.events.stop()
	l.c.metrics.unwatchQueue(l.member.ID())
}

// close ends the lane and waits until its workers are done.
func (l *lane) close() {
	l.stop()
	l.done.Wait()
}

func (l *lane) work(ctx context.Context) {
	for {
		names, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		l.one(ctx, names)
	}
}

// one reconciles one name, or puts those that a scope holds into the queue. It is the only place that logs a failure, and what decides about the next try.
func (l *lane) one(ctx context.Context, names scope) {
	defer l.queue.Done(names)
	start := time.Now()
	if l.waits(names, start) {
		return
	}
	if names.reach != oneName {
		for _, k := range l.c.expand(names) {
			l.queue.Add(only(k))
		}
		return
	}
	key := names.name
	wrote, err := l.reconcile(ctx, key)
	if wrote {
		l.pace.spend(names, time.Now())
	}
	if ctx.Err() != nil {
		return
	}
	l.c.metrics.reconciled(l.member.ID(), time.Since(start), err)
	if err == nil {
		l.queue.Forget(names)
		return
	}
	tries := l.queue.NumRequeues(names) + 1
	l.c.opts.Log.Log(ctx, severity(err, tries), "reconcile failed, will be tried again", "cluster", l.member.ID(),
		"service", key.String(), "tries", tries, "err", err, excerpt.Causes, l.c.look(key).Exporters())
	l.queue.AddRateLimited(names)
}

// waits puts names off whose turn has not come, and reports whether it did. A look at all names of the cluster, or of a namespace,
// counts as a write: it is much work, and a cluster decides how often its namespaces come and go. Namespaces count together; when
// they are too many, all names are looked at instead of each namespace in its turn.
func (l *lane) waits(names scope, now time.Time) bool {
	counted := names
	if names.reach == wholeNamespace {
		counted.name = types.NamespacedName{}
	}
	wait := l.pace.wait(counted, now)
	switch {
	case wait > 0 && names.reach == wholeNamespace:
		l.queue.AddAfter(everything, wait)
	case wait > 0:
		l.queue.AddAfter(names, wait)
	case names.reach != oneName:
		l.pace.spend(counted, now)
	}
	return wait > 0
}

// yields puts off what remains to be said of key until the names that wait had their turn, and reports whether it did: when a
// cluster with thousands of services dies, the endpoints of the last are more urgent than the conditions of the first
// (SPEC L2). A name that had failures does not yield: its obstacles are learnt from tries in a row.
func (l *lane) yields(key types.NamespacedName) bool {
	if l.queue.Len() == 0 || l.queue.NumRequeues(only(key)) > 0 {
		return false
	}
	l.queue.Add(only(key))
	return true
}

// severity keeps the log readable in an outage: a failure is an error at the first, second, fourth, eighth try and so on. Where
// several writes of a name failed, what was no more than a stale cache hides none of the others.
func severity(err error, tries int) slog.Level {
	if tries&(tries-1) != 0 || !slices.ContainsFunc(failures(err), func(err error) bool { return !stale(err) }) {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// failures returns the errors that were joined in err, or err alone.
func failures(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, failures(err)...)
	}
	return all
}

// dropped returns the fields that this cluster's ServiceImport schema is known not to keep.
func (l *lane) dropped() plan.Fields {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drops
}

// learn adds to the fields that this cluster's schema does not keep and says so once per field.
func (l *lane) learn(paths []string, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	drops := plan.Fields{}
	for p := range l.drops {
		drops[p] = true
	}
	for _, p := range paths {
		if !drops[p] {
			l.c.opts.Log.Warn("the cluster's ServiceImport CRD does not keep a field; it is left out there",
				"cluster", l.member.ID(), "field", p, "why", why)
		}
		drops[p] = true
	}
	l.drops = drops
}

// lookAtSchema lets the schema be learnt again when the cluster serves another version or came back, after which its CRD may be
// another one. Anything else that bears on every name is no occasion: each costs writes.
func (l *lane) lookAtSchema() {
	version := ""
	if l.member.ConsumerSynced() {
		version = l.member.ImportVersion()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if version != l.version {
		l.version, l.drops = version, nil
	}
}
