package agent

import (
	"context"
	"encoding/json"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// state is what a worker knows of its pod beyond the API.
type state struct {
	ips      []netip.Addr
	started  metav1.Time // of the running container
	waiting  error       // why there is no running container, if there should be one
	exit     *int        // how the container ended, if there will be no other
	restarts int32
	passed   bool  // the readiness probe, if there is one
	misses   int32 // of the readiness probe, in a row
	held     bool  // made unready from outside
}

// writeStatus makes the API say what is. It writes only what changed.
func (w *worker) writeStatus(ctx context.Context) error {
	status := w.status()
	if w.wrote != nil && equality.Semantic.DeepEqual(*w.wrote, status) {
		w.heard()
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": w.pod.UID}, // not of a successor of the same name
		"status":   status,
	})
	if err != nil {
		return err
	}
	_, err = w.agent.Client.CoreV1().Pods(w.namespace).
		Patch(ctx, w.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	w.wrote = &status
	w.heard()
	return nil
}

// heard tells who held the pod back, or let it go, that the status says so.
func (w *worker) heard() {
	for _, request := range w.unheard {
		close(request.done)
	}
	w.unheard = nil
}

// status returns the pod's, with transition times carried over from the one written before.
func (w *worker) status() corev1.PodStatus {
	s, running := &w.now, w.container != nil
	status := corev1.PodStatus{
		Phase:             phase(s, running),
		HostIP:            w.agent.Addresses.Node[0].String(),
		StartTime:         &w.pod.CreationTimestamp,
		ContainerStatuses: []corev1.ContainerStatus{w.containerStatus(running)},
	}
	for _, ip := range w.agent.Addresses.Node {
		status.HostIPs = append(status.HostIPs, corev1.HostIP{IP: ip.String()})
	}
	for i, ip := range s.ips {
		if i == 0 {
			status.PodIP = ip.String()
		}
		status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: ip.String()})
	}
	ready := running && s.passed && !s.held
	for _, condition := range []struct {
		kind corev1.PodConditionType
		is   bool
	}{
		{corev1.PodReadyToStartContainers, len(s.ips) > 0},
		{corev1.PodInitialized, true},
		{corev1.PodReady, ready},
		{corev1.ContainersReady, ready},
		{corev1.PodScheduled, true},
	} {
		status.Conditions = append(status.Conditions, w.condition(condition.kind, condition.is))
	}
	return status
}

// condition moves the transition time only with the status.
func (w *worker) condition(kind corev1.PodConditionType, is bool) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}
	if is {
		c.Status = corev1.ConditionTrue
	}
	if w.wrote == nil {
		return c
	}
	for _, before := range w.wrote.Conditions {
		if before.Type == kind && before.Status == c.Status {
			c.LastTransitionTime = before.LastTransitionTime
		}
	}
	return c
}

func phase(s *state, running bool) corev1.PodPhase {
	switch {
	case s.exit != nil && *s.exit == 0:
		return corev1.PodSucceeded
	case s.exit != nil:
		return corev1.PodFailed
	case running || s.restarts > 0:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

func (w *worker) containerStatus(running bool) corev1.ContainerStatus {
	s, c := &w.now, &w.pod.Spec.Containers[0]
	status := corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: c.Image, RestartCount: s.restarts,
		Ready: running && s.passed && !s.held, Started: &running,
	}
	switch {
	case running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: s.started}
	case s.exit != nil:
		status.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: int32(*s.exit), Reason: "Ended", StartedAt: s.started}
	case s.waiting != nil:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerError", Message: s.waiting.Error()}
	default:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	}
	return status
}
