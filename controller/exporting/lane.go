package exporting

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"

	"golang.org/x/time/rate"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// lane is the watches, queue and worker of one member with one set of credentials.
type lane struct {
	x      *Exporter
	member *members.Member
	kube   kubernetes.Interface
	queue  workqueue.TypedRateLimitingInterface[types.NamespacedName]
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	namespaces *watched[*corev1.Namespace]
	everywhere *watched[*corev1.Service]

	ruleAccess access // of what rules of namespaces select

	mu     sync.Mutex
	denied map[string]time.Time                 // by namespace: until when no export is made after one was refused
	many   map[string]bool                      // namespaces with a rule of their own for which there was no room
	own    map[string]*watched[*corev1.Service] // by namespace: those that a rule of its own selects
	parsed map[string]parsed                    // by namespace: rules of their own
	seen   map[string]bearing                   // by namespace: what of it bears on exports, as last looked at
}

// bearing is what of a namespace bears on exports.
type bearing struct {
	uid        types.UID
	own, going bool
	text       string // of its own rule, which the namespace holds, too
}

// The first retry of a name comes after retryFirst; each further one waits twice as long, up to retryMost.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 2 * time.Minute
)

func newLane(ctx context.Context, x *Exporter, m *members.Member, kube kubernetes.Interface) *lane {
	ctx, cancel := context.WithCancel(ctx)
	l := &lane{
		x: x, member: m, kube: kube, ctx: ctx, cancel: cancel, own: map[string]*watched[*corev1.Service]{}, seen: map[string]bearing{}, parsed: map[string]parsed{},
		denied: map[string]time.Time{}, many: map[string]bool{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](retryFirst, retryMost)),
	}
	l.namespaces = watchNamespaces(kube, l.namespaceChanged)
	l.everywhere = watchServices(kube, "", x.rules.Everywhere, l.serviceChanged)
	fresh, gate, services := func() *rate.Limiter { return follow.NewTries(0) }, m.Gate(), &room{most: maxKept}
	l.namespaces.access = access{gate, m.Tries("namespaces of rules", fresh), &room{most: maxKept}}
	l.everywhere.access = access{gate, m.Tries("services of a rule", fresh), services}
	l.ruleAccess = access{gate, m.Tries("services of namespaces' rules", manyTries), services}
	log := x.log.With("cluster", m.ID())
	l.done.Go(func() { l.namespaces.run(ctx, log, l.all) })
	l.done.Go(func() { l.everywhere.run(ctx, log, l.all) })
	l.done.Go(l.work)
	return l
}

// stop ends the lane and waits until nothing of it runs.
func (l *lane) stop() {
	l.cancel()
	l.queue.ShutDown()
	l.done.Wait()
}

// all puts into the queue what rules select, and what was made by rule.
func (l *lane) all() {
	for _, s := range l.everywhere.all() {
		l.serviceChanged(s)
	}
	l.mu.Lock()
	for _, w := range l.own {
		for _, s := range w.all() {
			l.serviceChanged(s)
		}
	}
	l.mu.Unlock()
	l.made(func(string) bool { return true })
}

// made puts into the queue what was made by rule in some namespaces.
func (l *lane) made(in func(namespace string) bool) {
	for _, key := range l.member.Keys() {
		if in(key.Namespace) && l.x.rules.Made(l.member.Export(key)) {
			l.queue.Add(key)
		}
	}
}

// madeIn puts into the queue what was made by rule in one namespace.
func (l *lane) madeIn(namespace string) {
	l.made(func(other string) bool { return other == namespace })
}

func (l *lane) serviceChanged(s *corev1.Service) {
	l.queue.Add(types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
}

// namespaceChanged follows the rule of a namespace, and looks at all names in it.
func (l *lane) namespaceChanged(ns *corev1.Namespace) {
	if !l.otherwise(ns) {
		return
	}
	l.followRule(ns.Name)
	l.followMany()
	for _, s := range l.everywhere.in(ns.Name) {
		l.serviceChanged(s)
	}
	if l.namespaces.synced() { // else all are looked at when it is
		l.madeIn(ns.Name)
	}
}

// otherwise says whether what of a namespace bears on exports is not as when last looked at.
func (l *lane) otherwise(ns *corev1.Namespace) bool {
	text, own := ns.Annotations[mcsapi.AnnotationExportSelector]
	is := bearing{ns.UID, own, ns.DeletionTimestamp != nil, text}
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.seen[ns.Name]
	if l.namespaces.get(types.NamespacedName{Name: ns.Name}) == nil {
		delete(l.seen, ns.Name)
		return true
	}
	l.seen[ns.Name] = is
	return !known || was != is
}

// settled says whether all that rules select in a namespace is known.
func (l *lane) settled(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.own[namespace]
	return l.namespaces.synced() && l.everywhere.synced() && (w == nil || w.synced())
}

// followRule watches what the namespace's own rule selects, if it has one; while that can't be read, what was watched before.
func (l *lane) followRule(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ns := l.namespaces.get(types.NamespacedName{Name: name})
	if ns == nil {
		l.end(name)
		delete(l.parsed, name)
		delete(l.many, name)
		delete(l.denied, name)
		return
	}
	selector, err := l.parse(ns)
	if err != nil {
		l.x.log.Warn("nothing is exported or withdrawn by rule", "cluster", l.member.ID(), "err", err)
		return
	}
	if w := l.own[name]; w != nil && w.selector == selector.String() {
		return
	}
	l.end(name)
	delete(l.many, name)
	if nothing(selector) || selector.String() == l.x.rules.Everywhere.String() {
		if known, ok := l.parsed[name]; ok && !nothing(selector) {
			known.selector = l.x.rules.Everywhere // so that many namespaces don't hold it many times
			l.parsed[name] = known
		}
		return
	}
	if len(l.own) >= maxRules {
		if len(l.many) == 0 {
			l.x.log.Warn("nothing is exported or withdrawn by rule in some namespaces", "cluster", l.member.ID(), "namespace", name, "most", maxRules, "err", errManyRules)
		}
		l.many[name] = true
		delete(l.parsed, name)
		return
	}
	w := watchServices(l.kube, name, selector, l.serviceChanged)
	w.access = l.ruleAccess
	l.own[name] = w
	l.done.Go(func() { w.run(l.ctx, l.x.log.With("cluster", l.member.ID()), func() { l.madeIn(name) }) })
}

// followMany follows rules for which there was no room, if there is now.
func (l *lane) followMany() {
	next := func() (name string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for name = range l.many {
			break
		}
		if len(l.own) >= maxRules {
			return ""
		}
		delete(l.many, name)
		return name
	}
	for name := next(); name != ""; name = next() {
		l.followRule(name)
	}
}

func (l *lane) end(namespace string) {
	if w := l.own[namespace]; w != nil {
		w.stop()
		delete(l.own, namespace)
	}
}

func (l *lane) work() {
	for {
		key, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		err := l.reconcile(l.ctx, key)
		switch tries := l.queue.NumRequeues(key) + 1; {
		case l.ctx.Err() != nil:
		case err == nil:
			l.queue.Forget(key)
		default:
			if tries&(tries-1) == 0 && !apierrors.IsConflict(err) { // a refusal is told at the first, second, fourth, eighth try and so on
				l.x.log.Error("exporting by rule failed, will be tried again", "cluster", l.member.ID(), "service", key.String(), "tries", tries, "err", err)
			}
			l.queue.AddRateLimited(key)
		}
		l.queue.Done(key)
	}
}
