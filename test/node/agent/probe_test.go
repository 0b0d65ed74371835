package agent

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// answers is a Runtime whose pods answer probes like that, one after the other.
type answers struct {
	Runtime
	errs []error
}

func (a *answers) Probe(context.Context, *corev1.Probe, *corev1.Container, netip.Addr) error {
	err := a.errs[0]
	a.errs = a.errs[1:]
	return err
}

// A pod that starts is asked again and again. One that is ready is asked in the probe's period, also after an answer that came too
// late, so that no busy second makes it unready.
func TestProbe(t *testing.T) {
	slow := errors.New("no answer within a second")
	const period = 10 * time.Second
	w := &worker{container: struct{ Container }{}, pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		ReadinessProbe: &corev1.Probe{PeriodSeconds: int32(period / time.Second), FailureThreshold: 3},
	}}}}}
	w.now.ips = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	runtime := &answers{}
	w.agent = &Agent{Config: Config{Runtime: runtime}}
	for n, step := range []struct {
		err    error
		passed bool
		next   time.Duration
	}{
		{slow, false, probePeriod},
		{nil, true, period},
		{slow, true, period},
		{slow, true, period},
		{nil, true, period},
		{slow, true, period},
		{slow, true, period},
		{slow, false, probePeriod},
		{nil, true, period},
	} {
		runtime.errs = append(runtime.errs, step.err)
		if next := w.probe(t.Context()); next != step.next || w.now.passed != step.passed {
			t.Errorf("probe %d: ready %v, the next one after %v; want %v and %v", n, w.now.passed, next, step.passed, step.next)
		}
	}
}
