package chaos

import (
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"
)

// fault is something that happens to a member, from beginning to end.
type fault struct {
	name string
	// exportersOnly says that only who exports the service can be hit.
	exportersOnly bool
	inject        func(ctx context.Context, h hurt) error
}

// hurt is one injection of a fault.
type hurt struct {
	*world
	victim *clusterset.Cluster
	// lasting says that an outage goes on until the victim's endpoints are withdrawn; else it lasts for hold.
	lasting bool
	hold    time.Duration
	pick    func(n int) int // a number below n, by chance
}

var faults = []fault{
	{name: "API server killed", inject: outage(
		func(_ context.Context, h hurt) error { return h.victim.KillAPIServer() },
		func(ctx context.Context, h hurt) error { return h.victim.StartAPIServer(ctx) })},
	{name: "API server hangs", inject: outage(
		func(_ context.Context, h hurt) error { return h.victim.PauseAPIServer() },
		func(_ context.Context, h hurt) error { return h.victim.ResumeAPIServer() })},
	{name: "cut off from the controller", inject: linkFault(link.Cut)},
	{name: "black-holed from the controller", inject: linkFault(link.Blackholed)},
	{name: "answers the controller with garbage", inject: linkFault(link.Garbled)},
	{name: "slow to the controller", inject: slow},
	{name: "gives the controller new credentials", inject: func(ctx context.Context, h hurt) error { return h.writeCredentials(ctx, h.victim) }},
	{name: "sees the controller killed and started again", inject: restartController},
	{name: "has its CoreDNS killed", inject: killDNS},
	{name: "has a pod replaced", exportersOnly: true, inject: replacePod},
	{name: "has a pod unready and ready again", exportersOnly: true, inject: unreadyPod},
	{name: "takes its export back and exports again", exportersOnly: true, inject: exportAnew},
}

// outage is a fault that takes a member out of the controller's reach, and ends. Nobody may notice in the data path: that is
// what it has no excuse for.
func outage(begin, end func(context.Context, hurt) error) func(context.Context, hurt) error {
	return func(ctx context.Context, h hurt) (err error) {
		if err := begin(ctx, h); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end(ctx, h)) }()
		if h.lasting && slices.Contains(exporters, h.victim.Name) {
			return h.awaitWithdrawal(ctx, h.victim)
		}
		return wait(ctx, h.hold)
	}
}

func linkFault(state link.State) func(context.Context, hurt) error {
	return outage(
		func(_ context.Context, h hurt) error { h.links[h.victim.Name].Set(state, 0); return nil },
		func(_ context.Context, h hurt) error { h.links[h.victim.Name].Set(link.Passing, 0); return nil })
}

// slow delays all that passes between the victim and the controller.
func slow(ctx context.Context, h hurt) error {
	h.links[h.victim.Name].Set(link.Passing, 500*time.Millisecond)
	defer h.links[h.victim.Name].Set(link.Passing, 0)
	return wait(ctx, h.hold)
}

func restartController(ctx context.Context, h hurt) error {
	h.controller.Kill()
	if err := wait(ctx, h.hold); err != nil {
		return err
	}
	return h.startController()
}

// killDNS kills the only CoreDNS of the victim, whose clients can't resolve anything until there is another.
func killDNS(ctx context.Context, h hurt) error {
	defer h.excuse(h.victim.Name, "their CoreDNS was killed", time.Now(), 6*time.Second)
	const selector = "k8s-app=kube-dns"
	before, err := h.victim.ReadyPods(ctx, "kube-system", selector, 1)
	if err != nil {
		return err
	}
	if err := h.deletePod(ctx, "kube-system", before[0].Name, 0); err != nil {
		return err
	}
	if _, err := h.victim.ReadyPods(ctx, "kube-system", selector, 1); err != nil {
		return err
	}
	return kit.Await(ctx, func(ctx context.Context) error { return resolves(ctx, h.victim) })
}

// replacePod deletes a pod, which serves on while it terminates, and waits until kube-proxy leads nobody there any longer.
func replacePod(ctx context.Context, h hurt) error {
	defer h.excuse("", "a pod was being deleted", time.Now(), 0)
	pod, err := h.aPod(ctx, h)
	if err != nil {
		return err
	}
	if err := h.deletePod(ctx, namespace, pod.Name, 5); err != nil {
		return err
	}
	return h.settle(ctx)
}

func (h hurt) deletePod(ctx context.Context, namespace, name string, graceSeconds int64) error {
	return h.victim.Client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &graceSeconds})
}

func unreadyPod(ctx context.Context, h hurt) error {
	pod, err := h.aPod(ctx, h)
	if err != nil {
		return err
	}
	if err := h.victim.SetReady(ctx, namespace, pod.Name, false); err != nil {
		return err
	}
	err = h.awaitImported(ctx, h.Clusters, h.victim.Name, replicas-1)
	return errors.Join(err, h.victim.SetReady(ctx, namespace, pod.Name, true))
}

func exportAnew(ctx context.Context, h hurt) error {
	if _, err := h.victim.Kubectl(ctx, nil, "delete", "serviceexport", service, "-n", namespace); err != nil {
		return err
	}
	if err := h.awaitImported(ctx, h.Clusters, h.victim.Name, 0); err != nil {
		return err
	}
	return h.victim.ApplyYAML(ctx, []byte(export))
}

// excuse notes that failures in a cluster, or in all with "", since from and until some time after now have a reason.
func (w *world) excuse(cluster, reason string, from time.Time, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.excuses = append(w.excuses, excuse{cluster, reason, from, time.Now().Add(after)})
}
