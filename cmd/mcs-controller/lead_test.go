package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// breakable is a lock whose API server can come not to answer, which real ones can't be made to at an exact time.
type breakable struct {
	resourcelock.Interface
	hangs atomic.Bool
}

func (b *breakable) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if b.hangs.Load() {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	return b.Interface.Get(ctx)
}

func (b *breakable) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if b.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Interface.Update(ctx, record)
}

func breakableLease(t *testing.T) *breakable {
	t.Helper()
	client := fake.NewClientset()
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "mcs", "lease", client.CoreV1(), client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: "this one"})
	if err != nil {
		t.Fatal(err)
	}
	return &breakable{Interface: lock}
}

// TestLeadEndsInTime_L4: a leader that gets no answer has stopped its work before another may begin, and leads again when
// there are answers; one that is asked to end gives the Lease up when its work has ended.
func TestLeadEndsInTime_L4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock := breakableLease(t)
		l := &leadership{lock: lock, log: slog.New(slog.DiscardHandler), healthy: leaderelection.NewLeaderHealthzAdaptor(leaseDuration)}
		ctx, stop := context.WithCancel(t.Context())
		began, ended, done := make(chan struct{}), make(chan time.Time), make(chan error)
		go func() {
			done <- l.run(ctx, func(ctx context.Context) error {
				began <- struct{}{}
				<-ctx.Done()
				if held, _, err := lock.Interface.Get(t.Context()); err != nil || held.HolderIdentity != "this one" {
					t.Errorf("given up while work is under way: %+v, %v", held, err)
				}
				ended <- time.Now()
				return nil
			})
		}()
		<-began
		<-time.After(time.Minute) // of this test's own clock: many renewals
		lock.hangs.Store(true)
		renewed, _, err := lock.Interface.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if late := (<-ended).Sub(renewed.RenewTime.Time); late >= leaseDuration {
			t.Errorf("the work ended %v after the last renewal, when another may lead after %v", late, leaseDuration)
		}
		lock.hangs.Store(false)
		<-began
		stop()
		<-ended
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if held, _, err := lock.Interface.Get(t.Context()); err != nil || held.HolderIdentity != "" {
			t.Errorf("not given up: %+v, %v", held, err)
		}
	})
}
