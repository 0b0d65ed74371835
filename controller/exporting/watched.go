package exporting

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// object is what can be watched: a pointer.
type object interface {
	follow.Object
	comparable
}

// watched is what one watch shows, kept in memory. It implements [follow.Sink].
type watched[T object] struct {
	selector   string
	source     follow.Source // nil for a selector of nothing
	name       string        // of what is watched, for people
	namespaced bool
	trim       func(T)
	changed    func(T)
	stop       func()
	ended      context.Context
	told       func() // is told, once, that all is known
	access

	// held is what this takes of the room; bytes what objects weigh, and listed those of list. They are used by run only.
	held, bytes, listed int

	// list is what of a full list came so far; nil while there is none.
	list map[types.NamespacedName]T

	mu      sync.RWMutex
	objects map[types.NamespacedName]T
	known   bool // all that was there at first, and it was told
}

// watchNamespaces keeps of namespaces what rules are made of.
func watchNamespaces(kube kubernetes.Interface, changed func(*corev1.Namespace)) *watched[*corev1.Namespace] {
	source := &follow.REST{Client: kube.CoreV1().RESTClient(), Resource: "namespaces"}
	return newWatched("namespaces", source, false, func(n *corev1.Namespace) {
		*n = *keep.Ruled(n)
	}, changed)
}

// watchServices keeps the Services of a namespace, or of all for "", that selector selects. A selector of nothing is not
// asked of the server, which would take it for one of everything.
func watchServices(kube kubernetes.Interface, namespace string, selector labels.Selector, changed func(*corev1.Service)) *watched[*corev1.Service] {
	if nothing(selector) {
		return &watched[*corev1.Service]{selector: selector.String(), stop: func() {}}
	}
	name, asked := "services", rules.Labels(selector)
	if namespace != "" {
		name += " in " + namespace
	}
	source := &follow.REST{Client: kube.CoreV1().RESTClient(), Resource: "services", Namespace: namespace, Selector: selector.String()}
	w := newWatched(name, source, true, func(s *corev1.Service) {
		*s = *keep.Selected(s, asked)
	}, changed)
	w.selector = selector.String()
	return w
}

// nothing says whether a selector selects nothing.
func nothing(selector labels.Selector) bool {
	_, selectable := selector.Requirements()
	return !selectable
}

func newWatched[T object](name string, source follow.Source, namespaced bool, trim, changed func(T)) *watched[T] {
	ended, end := context.WithCancel(context.Background())
	return &watched[T]{
		name: name, source: source, namespaced: namespaced, trim: trim, changed: changed, stop: end, ended: ended,
		objects: map[types.NamespacedName]T{},
	}
}

// run watches until ctx ends or stop is called, and calls synced once all is known. A failure is told once.
func (w *watched[T]) run(ctx context.Context, log *slog.Logger, synced func()) {
	if w.source == nil {
		synced()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ended, cancel)()
	w.told = synced
	failed := false
	f := &follow.Follower{Name: w.name, Connect: follow.To(w.source), Sink: w, Reader: follow.Reader{Gate: w.gate, Keep: true}, Tries: w.tries}
	defer func() { _ = w.room.swap(w.held, 0) }()
	f.Changed = func(s follow.State) {
		if s.Err != nil {
			w.dropList()
		}
		if s.Err != nil && !failed && ctx.Err() == nil {
			log.Warn("a watch for exporting by rule failed, will be tried again", "err", s.Err)
		}
		failed = s.Err != nil
	}
	f.Run(ctx)
}

// Begin implements [follow.Sink].
func (w *watched[T]) Begin() {
	w.dropList()
	w.list = map[types.NamespacedName]T{}
}

// dropList forgets a list that did not come to its end.
func (w *watched[T]) dropList() {
	w.list, w.listed = nil, 0
	_ = w.hold() // that needs less
}

// hold takes as much of the room as is needed: of a list and what was known before, the larger.
func (w *watched[T]) hold() error {
	need := max(w.bytes, w.listed)
	if err := w.room.swap(w.held, need); err != nil {
		return err
	}
	w.held = need
	return nil
}

// End implements [follow.Sink].
func (w *watched[T]) End(string) {
	w.mu.Lock()
	before, first := w.objects, !w.known
	w.objects, w.list = w.list, nil
	w.bytes, w.listed = w.listed, 0
	_ = w.hold() // that needs no more
	now := maps.Clone(w.objects)
	w.mu.Unlock()
	for key, o := range before {
		if _, still := now[key]; !still {
			w.tell(o)
		}
	}
	for key, o := range now {
		if was, there := before[key]; !there || was.GetResourceVersion() != o.GetResourceVersion() {
			w.tell(o)
		}
	}
	if !first {
		return
	}
	w.mu.Lock()
	w.known = true
	w.mu.Unlock()
	w.told()
}

// Set implements [follow.Sink].
func (w *watched[T]) Set(object follow.Object) error {
	o, ok := object.(T)
	if !ok {
		return fmt.Errorf("got a %T", object)
	}
	if mcsapi.Wellformed(o, w.namespaced) != nil { // package members, which sees the same in its own watches, reports them
		return nil
	}
	w.trim(o)
	if w.list != nil {
		w.listed += weigh(o)
		w.list[keyOf(o)] = o
		return w.hold()
	}
	if err := w.replace(keyOf(o), weigh(o)); err != nil {
		return fmt.Errorf("%w: %w", follow.ErrDropped, err)
	}
	w.mu.Lock()
	w.objects[keyOf(o)] = o
	w.mu.Unlock()
	w.tell(o)
	return nil
}

// Remove implements [follow.Sink].
func (w *watched[T]) Remove(object follow.Object) error {
	o, ok := object.(T)
	if !ok {
		return fmt.Errorf("got a %T", object)
	}
	if mcsapi.Wellformed(o, w.namespaced) != nil {
		return nil
	}
	w.trim(o)
	_ = w.replace(keyOf(o), 0)
	w.mu.Lock()
	delete(w.objects, keyOf(o))
	w.mu.Unlock()
	w.tell(o)
	return nil
}

// replace counts an object of a watch in place of the one that is kept.
func (w *watched[T]) replace(key types.NamespacedName, bytes int) error {
	before := w.bytes
	w.bytes += bytes
	var absent T
	if kept := w.get(key); kept != absent {
		w.bytes -= weigh(kept)
	}
	err := w.hold()
	if err != nil {
		w.bytes = before
	}
	return err
}

func (w *watched[T]) tell(o T) {
	if w.ended.Err() == nil {
		w.changed(o)
	}
}

func keyOf(o follow.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// synced says whether all that was there at first is known, and was told of.
func (w *watched[T]) synced() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.source == nil || w.known
}

// get returns an object, or the zero T.
func (w *watched[T]) get(key types.NamespacedName) (object T) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.objects[key]
}

// all returns all objects.
func (w *watched[T]) all() []T {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Collect(maps.Values(w.objects))
}

// in returns the objects of a namespace.
func (w *watched[T]) in(namespace string) (list []T) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for key, o := range w.objects {
		if key.Namespace == namespace {
			list = append(list, o)
		}
	}
	return list
}
