package agent

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/clusterset/multicluster/test/node"
)

// Config says which node the agent of which cluster runs.
type Config struct {
	Client        kubernetes.Interface // the administrator's
	Cluster       string               // the name that the web demo answers with
	Node          string               // the name of the Node
	Zone          string               // the Node's topology.kubernetes.io/zone; none if empty
	Addresses     node.Addresses
	ClusterDomain string // cluster.local by default
	// Images are the programs of containers without a command, by the image's name without registry and tag.
	Images  map[string][]string
	Runtime Runtime
}

// An Agent runs the pods of one cluster.
type Agent struct {
	Config

	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	workers map[types.UID]*worker
}

// Start registers the Node and returns when it is ready and the agent takes pods. ctx is for starting only: the agent
// runs until [Agent.Stop], or until its node goes down.
func Start(ctx context.Context, config Config) (*Agent, error) {
	if config.ClusterDomain == "" {
		config.ClusterDomain = "cluster.local"
	}
	a := &Agent{Config: config, workers: map[types.UID]*worker{}}
	if err := a.register(ctx); err != nil {
		return nil, fmt.Errorf("registering node %s: %w", a.Node, err)
	}
	var running context.Context
	running, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.done.Go(func() { a.heartbeat(running) })
	a.done.Go(func() { a.endWithNode(running) })
	if err := a.watch(ctx, running); err != nil {
		a.Stop()
		return nil, fmt.Errorf("watching the pods of node %s: %w", a.Node, err)
	}
	return a, nil
}

// Stop kills every container and returns when all are gone. The API is left as it is, as by a node that loses power.
func (a *Agent) Stop() {
	a.cancel()
	a.done.Wait()
}

func (a *Agent) endWithNode(ctx context.Context) {
	select {
	case <-a.Runtime.Down():
		a.cancel()
	case <-ctx.Done():
	}
}

// watch delivers every change of a pod to its worker, from before it returns until running is done.
func (a *Agent) watch(ctx, running context.Context) error {
	factory := informers.NewSharedInformerFactory(a.Client, 0)
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { a.deliver(running, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { a.deliver(running, object.(*corev1.Pod)) },
		DeleteFunc: a.gone,
	})
	if err != nil {
		return err
	}
	a.done.Go(func() { informer.RunWithContext(running) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return context.Cause(ctx)
	}
	return nil
}

// deliver gives a pod to its worker, which is started if the pod is this node's to run, or nobody's.
func (a *Agent) deliver(ctx context.Context, pod *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.workers[pod.UID]
	if !ok {
		if pod.Spec.NodeName != "" && pod.Spec.NodeName != a.Node || ctx.Err() != nil {
			return
		}
		w = newWorker(a, pod)
		a.workers[pod.UID] = w
		a.done.Go(func() {
			w.run(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.workers, pod.UID)
		})
	}
	w.mail.put(pod)
}

// gone tells a worker that its pod was removed from the API, by itself or by force.
func (a *Agent) gone(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.workers[pod.UID]; ok {
		w.mail.close()
	}
}

// worker returns the one whose pod has the given name; of a pod that ends and its successor, the successor's.
func (a *Agent) worker(namespace, name string) (*worker, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found *worker
	for _, w := range a.workers {
		if w.namespace == namespace && w.name == name && (found == nil || found.created.Before(w.created)) {
			found = w
		}
	}
	if found == nil {
		return nil, fmt.Errorf("node %s has no pod %s/%s", a.Node, namespace, name)
	}
	return found, nil
}

// Running returns the pod's network and its container, as the [Runtime] made them.
func (a *Agent) Running(namespace, name string) (Pod, Container, error) {
	w, err := a.worker(namespace, name)
	if err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.container == nil {
		return nil, nil, fmt.Errorf("pod %s/%s does not run", namespace, name)
	}
	return w.box, w.container, nil
}

// SetReady makes a pod unready whatever its probe says, or lets the probe decide again, and returns when that stands in
// its status. The container runs on.
func (a *Agent) SetReady(ctx context.Context, namespace, name string, ready bool) error {
	w, err := a.worker(namespace, name)
	if err != nil {
		return err
	}
	request := holdRequest{hold: !ready, done: make(chan struct{})}
	select {
	case w.holds <- request:
	case <-w.ended:
		return fmt.Errorf("pod %s/%s has ended", namespace, name)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-request.done:
		return nil
	case <-w.ended:
		return fmt.Errorf("pod %s/%s has ended", namespace, name)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
