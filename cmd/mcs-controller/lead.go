package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of leader election. A leader that can't renew stops writing after renewDeadline, well before another may start after
// leaseDuration. One that stands by looks every 1 to 2.2 retryPeriods, and counts from when it saw the last renewal, so it
// takes over from one that died after leaseDuration plus 4.4 retryPeriods at most: 16.4 s. With the times of Kubernetes' own
// controllers (15 s, 10 s, 2 s) that would be 23.8 s.
const (
	leaseDuration = 12 * time.Second
	renewDeadline = 8 * time.Second
	retryPeriod   = time.Second
)

// leadership decides when this replica works.
type leadership struct {
	lock    resourcelock.Interface // nil: always
	log     *slog.Logger
	leads   atomic.Bool
	healthy *leaderelection.HealthzAdaptor
}

func newLeadership(o *options, h *home, log *slog.Logger, metrics prometheus.Registerer) (*leadership, error) {
	l := &leadership{log: log, healthy: leaderelection.NewLeaderHealthzAdaptor(leaseDuration)}
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mcs_controller_leader", Help: "1 if this replica works, 0 if it stands by.",
	}, func() float64 {
		if l.leads.Load() {
			return 1
		}
		return 0
	}))
	if !*o.leaderElect {
		return l, nil
	}
	identity, err := replica()
	if err != nil {
		return nil, err
	}
	cfg := rest.CopyConfig(h.config)
	cfg.Timeout = renewDeadline / 2 // a request that hangs must not use up the time to renew
	client, err := h.client(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for the leader election: %w", err)
	}
	l.lock, err = resourcelock.New(resourcelock.LeasesResourceLock, h.namespace, "mcs-controller-"+o.clusterSet,
		client.CoreV1(), client.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: identity})
	return l, err
}

// replica is the name under which this replica holds the Lease. In a pod ($POD_UID) it is the same for every process of the
// container, which never runs twice: a restarted one takes up its own Lease at once, instead of waiting until it runs out
// (SPEC L14). Elsewhere nothing tells two processes apart, so it is random.
func replica() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming this replica for the leader election: %w", err)
	}
	return host + "_" + cmp.Or(os.Getenv("POD_UID"), string(uuid.NewUUID())), nil
}

// run calls work whenever this replica leads, with a context that ends with its lead, until ctx ends. The Lease is given up
// when work has returned, so that no other replica starts while a write is under way.
func (l *leadership) run(ctx context.Context, work func(context.Context) error) error {
	if l.lock == nil {
		l.leads.Store(true)
		return work(ctx)
	}
	for ctx.Err() == nil {
		if err := l.term(ctx, work); err != nil {
			return err
		}
	}
	return nil
}

// term campaigns for the lead, and works until it is lost or ctx ends.
func (l *leadership) term(ctx context.Context, work func(context.Context) error) error {
	campaign, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	started := make(chan context.Context, 1)
	var leads atomic.Bool
	lock := watchful{l.lock, func() {
		if leads.Load() {
			stop()
		}
	}}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: "mcs-controller", WatchDog: l.healthy,
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(lead context.Context) { started <- lead },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(campaign)
	}()
	select {
	case <-ctx.Done():
	case lead := <-started:
		leads.Store(true)
		err = l.lead(ctx, lead, work)
	}
	stop()
	<-over
	l.release()
	return err
}

// release gives the Lease up, if it is still ours, so that nobody has to wait until it runs out. The elector could do that
// itself, but would before it ends the lead: for as long as an API server does not answer, this replica would go on writing,
// up to renewDeadline more, when another may have begun.
func (l *leadership) release() {
	ctx, cancel := context.WithTimeout(context.Background(), renewDeadline)
	defer cancel()
	for {
		record, _, err := l.lock.Get(ctx)
		if err != nil || record.HolderIdentity != l.lock.Identity() {
			return
		}
		now := metav1.Now()
		err = l.lock.Update(ctx, resourcelock.LeaderElectionRecord{
			LeaderTransitions: record.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
		})
		switch {
		case err == nil:
			return
		case !apierrors.IsConflict(err): // else a renewal that was cut off has come through meanwhile
			l.log.Info("the Lease was not given up, and runs out by itself", "lease", l.lock.Describe(), "err", err)
			return
		}
	}
}

// lead works until either context ends: that of the program or that of the lead.
func (l *leadership) lead(ctx, lead context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(lead, cancel)()
	l.log.Info("this replica leads", "lease", l.lock.Describe(), "identity", l.lock.Identity())
	l.leads.Store(true)
	defer l.leads.Store(false)
	err := work(ctx)
	l.log.Info("this replica lost leadership", "lost", lead.Err() != nil)
	return err
}

// watchful is a lock that tells when it sees somebody else hold it. An elector that comes back from a suspension sees that,
// too, but only stops leading when it has failed to renew for renewDeadline from then on: two would write meanwhile.
type watchful struct {
	resourcelock.Interface
	taken func()
}

// Get implements [resourcelock.Interface].
func (w watchful) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := w.Interface.Get(ctx)
	if err == nil && record.HolderIdentity != "" && record.HolderIdentity != w.Identity() {
		w.taken()
	}
	return record, raw, err
}
