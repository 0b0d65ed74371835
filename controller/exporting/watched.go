package exporting

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// watched is what one watch shows, kept in memory.
type watched[T runtime.Object] struct {
	selector string
	informer cache.SharedIndexInformer // nil for a selector of nothing
	told     cache.ResourceEventHandlerRegistration
	stop     func()
	ended    context.Context
	failed   atomic.Bool // told of since it last worked
}

// watchNamespaces keeps of namespaces what rules are made of.
func watchNamespaces(kube kubernetes.Interface, changed func(*corev1.Namespace)) *watched[*corev1.Namespace] {
	client := kube.CoreV1().Namespaces()
	return newWatched("", &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			all := &corev1.NamespaceList{}
			return all, inPages(ctx, o, &all.ListMeta, func(ctx context.Context, o metav1.ListOptions) (int, metav1.ListMeta, error) {
				list, err := client.List(ctx, o)
				if err != nil {
					return 0, metav1.ListMeta{}, err
				}
				got := len(list.Items)
				all.Items = append(all.Items, slices.DeleteFunc(list.Items, func(o corev1.Namespace) bool { return mcsapi.Wellformed(&o, false) != nil })...)
				return got, list.ListMeta, nil
			})
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return wellformed(false)(client.Watch(ctx, o))
		},
	}, &corev1.Namespace{}, func(n *corev1.Namespace) {
		*n = *keep.Ruled(n)
	}, changed)
}

// watchServices keeps the Services of a namespace, or of all for "", that selector selects. A selector of nothing is not
// asked of the server, which would take it for one of everything.
func watchServices(kube kubernetes.Interface, namespace string, selector labels.Selector, changed func(*corev1.Service)) *watched[*corev1.Service] {
	if nothing(selector) {
		return &watched[*corev1.Service]{selector: selector.String(), stop: func() {}}
	}
	client, asked := kube.CoreV1().Services(namespace), rules.Labels(selector)
	return newWatched(selector.String(), &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector.String()
			all := &corev1.ServiceList{}
			return all, inPages(ctx, o, &all.ListMeta, func(ctx context.Context, o metav1.ListOptions) (int, metav1.ListMeta, error) {
				list, err := client.List(ctx, o)
				if err != nil {
					return 0, metav1.ListMeta{}, err
				}
				got := len(list.Items)
				all.Items = append(all.Items, slices.DeleteFunc(list.Items, func(o corev1.Service) bool { return mcsapi.Wellformed(&o, true) != nil })...)
				return got, list.ListMeta, nil
			})
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector.String()
			return wellformed(true)(client.Watch(ctx, o))
		},
	}, &corev1.Service{}, func(s *corev1.Service) {
		*s = *keep.Selected(s, asked)
	}, changed)
}

// inPages reads a list that an informer asks for, page by page. What the informer accepts from the server's memory, any version,
// is not served so: a server ignores the limit there.
func inPages(ctx context.Context, o metav1.ListOptions, of *metav1.ListMeta, page kubeclient.Page) error {
	o.ResourceVersion, o.ResourceVersionMatch, o.Continue = "", "", ""
	list, err := kubeclient.Pages(ctx, o, page)
	of.ResourceVersion = list.ResourceVersion
	return err
}

// wellformed leaves the events of objects out whose names none can have: the informer's keys are made of them. Package
// clusters, which sees the same in its own watches, reports them.
func wellformed(namespaced bool) func(watch.Interface, error) (watch.Interface, error) {
	return func(w watch.Interface, err error) (watch.Interface, error) {
		if err != nil {
			return nil, err
		}
		return watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
			if e.Type == watch.Error || e.Type == watch.Bookmark {
				return e, true
			}
			o, ok := e.Object.(metav1.Object)
			return e, !ok || mcsapi.Wellformed(o, namespaced) == nil
		}), nil
	}
}

// nothing says whether a selector selects nothing.
func nothing(selector labels.Selector) bool {
	_, selectable := selector.Requirements()
	return !selectable
}

// A server is watched so many times in a row, and then once in so much time. The informer waits before the next watch only
// where one ends within a second and without an event, and a server that is broken or hostile may send one with each (SPEC X6).
const (
	watchesInARow = 10
	watchEvery    = 15 * time.Second
)

// seldom bounds how often lw watches.
func seldom(lw *cache.ListWatch) {
	watches, open := rate.NewLimiter(rate.Every(watchEvery), watchesInARow), lw.WatchFuncWithContext
	lw.WatchFuncWithContext = func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		if err := watches.Wait(ctx); err != nil {
			return nil, err
		}
		return open(ctx, o)
	}
}

func newWatched[T runtime.Object](selector string, lw *cache.ListWatch, of T, trim, changed func(T)) *watched[T] {
	seldom(lw)
	ended, end := context.WithCancel(context.Background())
	w := &watched[T]{selector: selector, stop: end, ended: ended}
	w.informer = cache.NewSharedIndexInformer(lw, of, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	// Both are refused by an informer that runs, which this one does not yet.
	_ = w.informer.SetTransform(func(o any) (any, error) {
		if object, ok := o.(T); ok {
			trim(object)
		}
		return o, nil
	})
	w.told, _ = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.tell(o, changed) },
		UpdateFunc: func(_, o any) { w.tell(o, changed) },
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			w.tell(o, changed)
		},
	})
	return w
}

func (w *watched[T]) tell(o any, changed func(T)) {
	w.failed.Store(false)
	if object, ok := o.(T); ok && w.ended.Err() == nil {
		changed(object)
	}
}

// run watches until ctx ends or stop is called, and calls synced once all is known. A failure is told once.
func (w *watched[T]) run(ctx context.Context, log *slog.Logger, synced func()) {
	if w.informer == nil {
		synced()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ended, cancel)()
	_ = w.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if !w.failed.Swap(true) && ctx.Err() == nil {
			log.Warn("a watch for exporting by rule failed, will be tried again", "err", err)
		}
	})
	var waits sync.WaitGroup
	defer waits.Wait()
	waits.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), w.told.HasSynced) {
			synced()
		}
	})
	w.informer.RunWithContext(ctx)
}

// synced says whether all that was there at first is known, and was told of.
func (w *watched[T]) synced() bool { return w.informer == nil || w.told.HasSynced() }

// get returns an object, or the zero T.
func (w *watched[T]) get(key types.NamespacedName) (object T) {
	if w.informer == nil {
		return object
	}
	name := key.Name
	if key.Namespace != "" {
		name = key.String()
	}
	o, _, _ := w.informer.GetStore().GetByKey(name)
	object, _ = o.(T)
	return object
}

// all returns all objects.
func (w *watched[T]) all() []T {
	if w.informer == nil {
		return nil
	}
	return typed[T](w.informer.GetStore().List())
}

// in returns the objects of a namespace.
func (w *watched[T]) in(namespace string) []T {
	if w.informer == nil {
		return nil
	}
	objects, _ := w.informer.GetIndexer().ByIndex(cache.NamespaceIndex, namespace) // there is such an index
	return typed[T](objects)
}

func typed[T runtime.Object](objects []any) (list []T) {
	for _, o := range objects {
		if object, ok := o.(T); ok {
			list = append(list, object)
		}
	}
	return list
}
