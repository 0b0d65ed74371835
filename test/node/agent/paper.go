package agent

import (
	"context"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/node/container"
)

// OnPaper is a runtime for machines where no network namespaces can be had: pods get addresses and a status, so that the
// API is as it would be, but nothing runs, and nobody answers at the addresses.
func OnPaper(addresses node.Addresses) Runtime {
	next := make([]netip.Addr, len(addresses.Pods))
	for i, prefix := range addresses.Pods {
		next[i] = prefix.Addr()
	}
	return &paper{next: next}
}

type paper struct {
	mu   sync.Mutex
	next []netip.Addr // the last addresses given away; none is given twice
}

func (r *paper) NewPod() (Pod, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := new(paperPod)
	for i := range r.next {
		r.next[i] = r.next[i].Next()
		p.ips = append(p.ips, r.next[i])
	}
	return p, nil
}

func (r *paper) Probe(context.Context, *corev1.Probe, *corev1.Container, netip.Addr) error {
	return nil
}

func (r *paper) Down() <-chan struct{} { return nil }

type paperPod struct{ ips []netip.Addr }

func (p *paperPod) IPs() []netip.Addr { return p.ips }
func (p *paperPod) Close()            {}

func (p *paperPod) Run(*container.Spec) (Container, error) {
	c := &paperContainer{done: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.done) })
	return c, nil
}

type paperContainer struct {
	done chan struct{}
	end  func()
}

func (c *paperContainer) Done() <-chan struct{}               { return c.done }
func (c *paperContainer) ExitCode() int                       { return 0 }
func (c *paperContainer) Stop(context.Context, time.Duration) { c.end() }
func (c *paperContainer) Kill()                               { c.end() }
