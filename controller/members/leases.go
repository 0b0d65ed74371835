package members

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/utils/ptr"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Leases say in each consumer which providers are connected (KEP-1645 "Endpoint TTL"): one per provider, renewed while the
// provider is reached. They are for people and other programs. This controller does not conclude anything from them: that
// nobody renewed a Lease proves nothing about its provider (SPEC L2).

const (
	// leaseRate bounds the renewals of one controller, in all consumers together, per second. With many members each
	// Lease is renewed more rarely and lasts longer.
	leaseRate = 10
	// leaseRenewal is the shortest time between two renewals of a Lease, and leaseLives how many of them it lasts.
	leaseRenewal = 10 * time.Second
	leaseLives   = 4
	// leaseRetry is how long to wait after a refusal: the namespace does not exist, or there is no permission. Other failures
	// pass, and a Lease must not run out for one of them.
	leaseRetry = time.Minute
	// leaseTimeout is how long one request for a Lease may take.
	leaseTimeout = 5 * time.Second
)

// renewal returns how long to wait between two renewals of each of n Leases.
func renewal(n int) time.Duration {
	return max(leaseRenewal, time.Duration(n)*time.Second/leaseRate)
}

// keepLeases renews Leases until ctx ends. Each consumer has a round of its own, so that a slow one delays no other.
func (s *Set) keepLeases(ctx context.Context) {
	limit := rate.NewLimiter(leaseRate, leaseRate)
	keepers := map[*Member]context.CancelFunc{}
	var running sync.WaitGroup
	defer running.Wait()
	ticks := time.NewTicker(judgePeriod)
	defer ticks.Stop()
	for {
		present := map[*Member]bool{}
		for _, m := range s.Members() {
			if !m.Registration().Consumer {
				continue
			}
			present[m] = true
			if keepers[m] == nil {
				ctx, cancel := context.WithCancel(ctx)
				keepers[m] = cancel
				running.Go(func() { (&leaseKeeper{set: s, consumer: m, limit: limit}).run(ctx) })
			}
		}
		for m, cancel := range keepers {
			if !present[m] {
				cancel()
				delete(keepers, m)
			}
		}
		select {
		case <-ctx.Done():
			for _, cancel := range keepers {
				cancel()
			}
			return
		case <-ticks.C:
		}
	}
}

// leaseKeeper keeps the Leases of one consumer.
type leaseKeeper struct {
	set      *Set
	consumer *Member
	limit    *rate.Limiter
	problem  string // last logged
}

func (k *leaseKeeper) run(ctx context.Context) {
	for {
		wait := judgePeriod
		if k.consumer.ConsumerSynced() {
			n, err := k.round(ctx)
			if ctx.Err() != nil {
				return
			}
			k.report(err)
			wait = renewal(n * k.consumers())
			if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
				wait = max(wait, leaseRetry)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// consumers counts the consumers, which share the rate.
func (k *leaseKeeper) consumers() int {
	n := 0
	for _, m := range k.set.Members() {
		if m.Registration().Consumer {
			n++
		}
	}
	return n
}

// round renews the Leases of the providers that are reached, removes those of providers that left, and returns how many
// providers there are.
func (k *leaseKeeper) round(ctx context.Context) (providers int, err error) {
	present := map[string]bool{}
	var renew []*Member
	for _, m := range k.set.Members() {
		if !m.remoteProvider() {
			continue
		}
		present[m.ID()] = true
		if m.reached() {
			renew = append(renew, m)
		}
	}
	held, err := k.sweep(ctx, present)
	if err != nil {
		return len(present), err
	}
	for _, m := range renew {
		if err := k.limit.Wait(ctx); err != nil {
			return len(present), err
		}
		if m.ctx.Err() != nil || !m.reached() { // by now: with many members that takes its time
			continue
		}
		id := m.ID()
		switch failed := k.renew(ctx, id, held[id], renewal(len(present)*k.consumers())); {
		case apierrors.IsAlreadyExists(failed): // somebody else's is no hindrance for the others, now or next time
			err = failed
		case failed != nil:
			return len(present), failed
		}
	}
	return len(present), err
}

// leases returns a client for Leases; there is none once the consumer is refused, which may be in the middle of a round.
func (k *leaseKeeper) leases() (coordinationclient.LeaseInterface, error) {
	kube := k.consumer.Kube()
	if kube == nil {
		return nil, fmt.Errorf("cluster %s is not connected", k.consumer.ID())
	}
	return kube.CoordinationV1().Leases(k.set.opts.LeaseNamespace), nil
}

// renew renews the Lease of a provider, by its UID, or makes it if there was none of ours. Somebody else's of that name is not
// touched (SPEC X5).
func (k *leaseKeeper) renew(ctx context.Context, id string, held types.UID, every time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	client, err := k.leases()
	if err != nil {
		return err
	}
	spec := coordinationv1.LeaseSpec{
		HolderIdentity:       ptr.To(id),
		LeaseDurationSeconds: ptr.To(int32((leaseLives * every).Seconds())),
		RenewTime:            &metav1.MicroTime{Time: time.Now()},
	}
	name := k.leaseName(id)
	if held != "" {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": held}, "spec": spec})
		if err != nil {
			return err
		}
		if _, err = client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); !apierrors.IsNotFound(err) {
			return err
		}
	}
	_, err = client.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			mcsapi.LabelClusterSet: k.set.opts.ClusterSet, mcsapi.LabelSourceCluster: id,
		}},
		Spec: spec,
	}, metav1.CreateOptions{})
	return err
}

func (k *leaseKeeper) leaseName(id string) string { return k.set.opts.ClusterSet + "." + id }

// sweep removes the Leases of clusters that are no providers of this set any more (SPEC L3), and returns those that stay.
func (k *leaseKeeper) sweep(ctx context.Context, present map[string]bool) (held map[string]types.UID, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	client, err := k.leases()
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{
		LabelSelector: mcsapi.LabelClusterSet + "=" + k.set.opts.ClusterSet + "," + mcsapi.LabelSourceCluster,
	})
	if err != nil {
		return nil, err
	}
	held = map[string]types.UID{}
	for _, lease := range list.Items {
		id := lease.Labels[mcsapi.LabelSourceCluster]
		if present[id] {
			if lease.Name == k.leaseName(id) {
				held[id] = lease.UID
			}
			continue
		}
		if err := removeLease(ctx, client, &lease); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// removeLease deletes a Lease as it was seen.
func removeLease(ctx context.Context, client coordinationclient.LeaseInterface, lease *coordinationv1.Lease) error {
	err := client.Delete(ctx, lease.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &lease.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// report logs when Leases can't be kept, and when they can again. That touches nobody's traffic.
func (k *leaseKeeper) report(err error) {
	now := ""
	if err != nil {
		now = string(apierrors.ReasonForError(err)) + " "
	}
	switch {
	case now == k.problem:
	case err != nil:
		k.consumer.log.Info("no Leases are kept in the cluster that tell which providers are connected",
			"namespace", k.set.opts.LeaseNamespace, "err", err)
	default:
		k.consumer.log.Info("Leases are kept in the cluster again", "namespace", k.set.opts.LeaseNamespace)
	}
	k.problem = now
}
