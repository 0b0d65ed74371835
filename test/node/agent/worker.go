package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryAfter is the pause before what failed is tried again: a container that cannot start or that ended, a status that
// was not taken. A kubelet's grows from ten seconds.
const retryAfter = 500 * time.Millisecond

// nothingToDo is how long to wait for what comes as an event.
const nothingToDo = time.Hour

// A worker leads one pod from binding to removal. Only its own goroutine, in run, changes it.
type worker struct {
	agent           *Agent
	namespace, name string
	created         time.Time
	mail            *mailbox
	holds           chan holdRequest
	ended           chan struct{} // closed when run has returned

	pod       *corev1.Pod // as last delivered
	now       state
	wrote     *corev1.PodStatus // what the API holds, as far as the worker knows
	stopping  bool
	notBefore time.Time     // when to start the container again
	unheard   []holdRequest // taken, but not yet in the status

	mu        sync.Mutex // for readers elsewhere
	box       Pod
	container Container
}

type holdRequest struct {
	hold bool
	done chan struct{} // closed when the status says so
}

func newWorker(a *Agent, pod *corev1.Pod) *worker {
	return &worker{
		agent: a, namespace: pod.Namespace, name: pod.Name, created: pod.CreationTimestamp.Time,
		mail: newMailbox(), holds: make(chan holdRequest), ended: make(chan struct{}),
	}
}

// run leads the pod until it is gone from the API or ctx is done.
func (w *worker) run(ctx context.Context) {
	defer close(w.ended)
	defer w.release()
	probe := time.NewTimer(0)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.mail.arrived:
			pod, open := w.mail.take()
			if !open {
				return
			}
			w.pod = pod
		case <-w.containerDone():
			w.finished()
		case request := <-w.holds:
			w.now.held = request.hold
			w.unheard = append(w.unheard, request)
		case <-probe.C:
		}
		wait, over := w.step(ctx)
		if over {
			return
		}
		probe.Reset(wait)
	}
}

// step does what is to be done next, writes the status, and returns after which time to look again, or that the pod is
// no longer this worker's.
func (w *worker) step(ctx context.Context) (wait time.Duration, over bool) {
	wait = nothingToDo
	switch {
	case w.pod == nil:
		return wait, false
	case w.pod.DeletionTimestamp != nil && w.container == nil:
		if err := w.remove(ctx); err != nil {
			w.warn(ctx, "a pod was not removed", err)
			return retryAfter, false
		}
		return 0, true
	case w.pod.DeletionTimestamp != nil:
		w.end(ctx)
	case w.pod.Spec.NodeName == "":
		if err := w.bind(ctx); err != nil {
			w.warn(ctx, "a pod was not bound", err)
			wait = retryAfter
		}
		return wait, false // the binding comes back as an event
	case w.pod.Spec.NodeName != w.agent.Node:
		return 0, true
	case w.container == nil && w.now.exit == nil:
		if wait = time.Until(w.notBefore); wait > 0 {
			break
		}
		wait = nothingToDo
		if err := w.start(ctx); err != nil {
			w.now.waiting = err
			wait = retryAfter
		}
	}
	wait = min(wait, w.probe(ctx))
	if err := w.writeStatus(ctx); err != nil {
		if apierrors.IsNotFound(err) {
			return 0, true
		}
		w.warn(ctx, "a pod's status was not written", err)
		wait = retryAfter
	}
	return wait, false
}

func (w *worker) bind(ctx context.Context) error {
	return w.agent.Client.CoreV1().Pods(w.namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, UID: w.pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: w.agent.Node},
	}, metav1.CreateOptions{})
}

// start gives the pod its network, once, and runs its container.
func (w *worker) start(ctx context.Context) error {
	if w.box == nil {
		box, err := w.agent.Runtime.NewPod()
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.box = box
		w.mu.Unlock()
		w.now.ips = box.IPs()
	}
	spec, err := w.agent.containerSpec(ctx, w.pod, w.now.ips)
	if err != nil {
		return err
	}
	c, err := w.box.Run(spec)
	if err != nil {
		return err
	}
	w.setContainer(c)
	w.now.waiting, w.now.started = nil, metav1.Now()
	return nil
}

// probe makes a readiness probe if one is due, and returns when to make the next.
func (w *worker) probe(ctx context.Context) time.Duration {
	if w.container == nil {
		return nothingToDo
	}
	c := &w.pod.Spec.Containers[0]
	if c.ReadinessProbe == nil {
		w.now.passed = true
		return nothingToDo
	}
	if err := w.agent.Runtime.Probe(ctx, c.ReadinessProbe, c, w.now.ips[0]); err == nil {
		w.now.passed, w.now.misses = true, 0
	} else {
		w.now.misses++
		if w.now.misses >= max(c.ReadinessProbe.FailureThreshold, 1) { // as a kubelet does
			w.now.passed = false
		}
	}
	if !w.now.passed {
		return probePeriod
	}
	return time.Duration(max(c.ReadinessProbe.PeriodSeconds, 1)) * time.Second
}

// finished notes how the container ended, and clears the way for the next one if there is to be one.
func (w *worker) finished() {
	code := w.container.ExitCode()
	w.setContainer(nil)
	w.now.passed, w.now.misses = false, 0
	policy := w.pod.Spec.RestartPolicy
	if policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && code == 0 || w.stopping {
		w.now.exit = &code
		return
	}
	w.now.restarts++
	w.notBefore = time.Now().Add(retryAfter)
	w.now.waiting = fmt.Errorf("the container ended with code %d and is started again", code)
}

// end asks the container of a deleted pod to end, once. Until it has, the pod may still be ready, and serve.
func (w *worker) end(ctx context.Context) {
	if !w.stopping {
		w.stopping = true
		go stop(ctx, w.container, w.pod)
	}
}

// remove takes a deleted pod without container out of the API.
func (w *worker) remove(ctx context.Context) error {
	w.release()
	now := int64(0)
	err := w.agent.Client.CoreV1().Pods(w.namespace).Delete(ctx, w.name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &w.pod.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another pod by now
		return nil
	}
	return err
}

// stop does what a kubelet does to the container of a deleted pod: the preStop hook's sleep, the request to end, and
// the end itself when the grace period is over.
func stop(ctx context.Context, c Container, pod *corev1.Pod) {
	grace := time.Duration(0)
	if seconds := pod.DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	deadline := time.Now().Add(grace)
	if hooks := pod.Spec.Containers[0].Lifecycle; hooks != nil && hooks.PreStop != nil && hooks.PreStop.Sleep != nil {
		select {
		case <-time.After(min(grace, time.Duration(hooks.PreStop.Sleep.Seconds)*time.Second)):
		case <-c.Done():
		case <-ctx.Done():
		}
	}
	c.Stop(ctx, time.Until(deadline))
}

// release frees what the pod holds of the machine.
func (w *worker) release() {
	if w.container != nil {
		w.container.Kill()
		w.setContainer(nil)
	}
	if w.box != nil {
		w.box.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.box = nil
	}
}

// warn logs what is tried again.
func (w *worker) warn(ctx context.Context, message string, err error) {
	if ctx.Err() == nil {
		slog.Warn(message, "node", w.agent.Node, "pod", w.namespace+"/"+w.name, "error", err)
	}
}

func (w *worker) setContainer(c Container) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.container = c
}

func (w *worker) containerDone() <-chan struct{} {
	if w.container == nil {
		return nil
	}
	return w.container.Done()
}
