package agent

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// A mailbox holds the latest version of a pod until its worker takes it. Whoever puts never waits.
type mailbox struct {
	arrived chan struct{} // has an element when there is something to take

	mu     sync.Mutex
	pod    *corev1.Pod
	closed bool
}

func newMailbox() *mailbox { return &mailbox{arrived: make(chan struct{}, 1)} }

func (m *mailbox) put(pod *corev1.Pod) {
	m.mu.Lock()
	m.pod = pod
	m.mu.Unlock()
	m.ring()
}

// close says that the pod is gone.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) ring() {
	select {
	case m.arrived <- struct{}{}:
	default:
	}
}

// take returns the latest version, which must not be changed, and whether the pod is still there.
func (m *mailbox) take() (*corev1.Pod, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pod, !m.closed
}
