package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
)

// passes is how often a name is planned and applied in a row. A whole import takes four (import, slices and derived Service,
// addresses, status); more means that the API server keeps undoing a write.
const passes = 8

var errUnsettled = errors.New("does not settle")

// reconcile makes this lane's cluster true for one name: gather → merge → plan → apply. It reports whether that took a write.
func (l *lane) reconcile(ctx context.Context, key types.NamespacedName) (wrote bool, err error) {
	seen := l.c.look(key)
	var errs [2]error
	var reported bool
	if r := l.member.Registration(); r.Consumer && l.member.ConsumerSynced() {
		wrote, errs[0] = l.converge(ctx, key, seen)
	}
	if r := l.member.Registration(); r.Provider && r.ExportStatus && l.member.ProviderSynced() {
		reported, errs[1] = l.report(ctx, key, seen)
	}
	return wrote || reported, errors.Join(errs[:]...)
}

// converge plans and applies until the consumer holds what it should (SPEC I, S).
func (l *lane) converge(ctx context.Context, key types.NamespacedName, s *snapshot) (wrote bool, err error) {
	wanted := s.to(l.member.ID(), l.member.Import(key), l.known()).wanted(key)
	var inTheWay obstacles
	var last string
	for range passes {
		actions := plan.For(l.consumer(key), wanted, inTheWay.known(l.held(key)), time.Now())
		if len(actions) == 0 {
			return wrote, inTheWay.remaining(l.member.ID())
		}
		if last != "" && onlySays(actions) && l.yields(key) {
			return wrote, nil
		}
		wrote, last = true, actions[0].Reason
		refused, err := l.applyAll(ctx, actions)
		switch {
		case err == nil && onlyWithdraws(actions) && l.yields(key): // not even planned before its turn comes
			return true, nil
		case err == nil:
		case errors.Is(err, errNoNamespace):
			return true, nil
		case l.queue.NumRequeues(only(key)) >= believed && inTheWay.learn(refused, err):
		default:
			return true, errors.Join(err, l.blocked(ctx, wanted, err))
		}
	}
	return true, fmt.Errorf("%s in cluster %s: %w after %d passes, last for: %s", key, l.member.ID(), errUnsettled, passes, last)
}

// onlySays reports whether actions change nothing but what people read.
func onlySays(actions []plan.Action) bool {
	return !slices.ContainsFunc(actions, func(a plan.Action) bool { return a.Verb != plan.PatchStatus })
}

// onlyWithdraws reports whether actions delete slices and do nothing else, so that nothing is left after them but to say so.
func onlyWithdraws(actions []plan.Action) bool {
	return !slices.ContainsFunc(actions, func(a plan.Action) bool {
		_, slice := a.Object.(*discoveryv1.EndpointSlice)
		return a.Verb != plan.Delete || !slice
	})
}

// applyAll applies actions in order, up to the first that fails, which it returns.
func (l *lane) applyAll(ctx context.Context, actions []plan.Action) (failed plan.Action, err error) {
	for _, a := range actions {
		if err := l.apply(ctx, a); err != nil {
			return a, err
		}
	}
	return plan.Action{}, nil
}

// blocked says on the import why a write was refused, where the refusal is the API server's last word: people look there
// first.
func (l *lane) blocked(ctx context.Context, w plan.Wanted, refusal error) error {
	if !apierrors.IsInvalid(refusal) && !apierrors.IsForbidden(refusal) {
		return nil
	}
	action, needed := plan.Blocked(l.consumer(w.Key), w, l.held(w.Key), refusal.Error(), time.Now())
	if !needed {
		return nil
	}
	return l.apply(ctx, action)
}

// consumer says what plan must know of this lane's cluster about key.
func (l *lane) consumer(key types.NamespacedName) plan.Consumer {
	limits := l.member.Registration().Limits
	closed := ""
	if !limits.MayImport(key.Namespace) {
		closed = fmt.Sprintf("services of namespace %s are not imported into cluster %s; its %s would have to allow that",
			key.Namespace, l.member.ID(), registration.LimitImportNamespaces)
	}
	return plan.Consumer{
		Cluster:       l.member.ID(),
		ClusterSet:    l.c.opts.ClusterSet,
		Automatic:     l.c.opts.Automatic,
		Prefer:        l.c.opts.Prefer,
		Families:      l.member.Families(),
		ImportVersion: l.member.ImportVersion(),
		Drops:         l.dropped(),
		ServiceRanges: l.member.ServiceRanges(),
		NodeAddresses: l.member.NodeAddresses(),
		Closed:        closed,
	}
}

// held reads what this lane's cluster holds for key.
func (l *lane) held(key types.NamespacedName) plan.Held {
	derived := types.NamespacedName{Namespace: key.Namespace, Name: plan.DerivedName(key.Name)}
	return plan.Held{
		Namespace: l.member.NamespaceActive(key.Namespace),
		Import:    l.member.Import(key),
		Derived:   l.member.Service(derived),
		Slices:    l.member.ImportedSlices(key),
	}
}

// report writes the verdict on this cluster's own export into its status (SPEC E3).
func (l *lane) report(ctx context.Context, key types.NamespacedName, s *snapshot) (wrote bool, err error) {
	export := l.member.Export(key)
	if export == nil || s.Unsynced[l.member.ID()] || !keep.Status(export) {
		return false, nil
	}
	o := s.forVerdict(func(unsynced map[string]bool) []merge.Export {
		return anyMemory(key, l.c.set.Members(), unsynced, l.c.opts.ClusterSet)
	})
	limits := l.member.Registration().Limits
	verdict := plan.Verdict{
		Invalid: o.Invalid[l.member.ID()], Refused: merge.RefusedKeys(export, limits.MayExportKey),
		Exported: l.c.reach(key.Namespace, merge.Consumers(export)),
	}
	if o.Service != nil {
		verdict.Conflicts = o.Service.Conflicts
	}
	action, needed := plan.ExportStatus(export, verdict, time.Now())
	if !needed {
		return false, nil
	}
	return true, l.apply(ctx, action)
}
