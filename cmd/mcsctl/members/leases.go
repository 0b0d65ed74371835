package members

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Lease is one that a controller holds, as far as it shows that the controller runs.
type Lease struct {
	// Name is namespace/name; Holder is empty where the Lease was released.
	Name, Holder string
	Renewed      time.Time
	// Lasts is for how long a renewal is good.
	Lasts time.Duration
}

// aheadOf is how far the clock of who renews a Lease may be ahead of this machine's. One that was renewed later was not: whoever writes
// Leases in a cluster decides what they say.
const aheadOf = 5 * time.Minute

// Held reports whether somebody holds the Lease at a time.
func (l *Lease) Held(now time.Time) bool {
	return l != nil && l.Holder != "" && !now.After(l.Renewed.Add(l.Lasts)) && !l.Renewed.After(now.Add(aheadOf))
}

// Leases are what controllers keep wherever they run, so they show whether one runs that has no Deployment here, either.
type Leases struct {
	// In is the id of the importing cluster that they are in; empty for the home, whose controller serves all clusters. Flags make
	// kubectl act on that cluster.
	In    string
	Flags shell.Text
	// Leader is the one for which the replicas of a controller compete, in the cluster that has its Secrets; nil if there is none.
	Leader *Lease
	// Kept is the one that was renewed last among those that a controller keeps in each importing cluster, one for each exporting
	// cluster; nil if there is none.
	Kept *Lease
	// Hidden says that they could not be read, so that there may be others.
	Hidden bool
}

// leaderPrefix and the name of the clusterset are the name of the leader's Lease.
const leaderPrefix = "mcs-controller-"

// Leases reads the Leases of controllers at home. Where no cluster is the home it reads those in each importing cluster, which stay
// apart: a controller of one cluster shows nothing about another's.
func (s *Set) Leases(ctx context.Context) []Leases {
	var in []*Cluster
	var all []Leases
	for _, c := range s.Clusters {
		switch home := s.Home(); {
		case c == home:
			in, all = append(in, c), append(all, Leases{Flags: c.Flags()})
		case home == nil && c.Consumer:
			in, all = append(in, c), append(all, Leases{In: c.ID, Flags: c.Flags()})
		}
	}
	var wg sync.WaitGroup
	for i, c := range in {
		if c.Err != nil {
			all[i].Hidden = true
			continue
		}
		wg.Go(func() {
			found, err := c.leases(ctx, s.Namespace)
			all[i].Hidden = err != nil
			for n := range found {
				all[i].add(&found[n], s)
			}
		})
	}
	wg.Wait()
	return all
}

// add takes a Lease into account if it is a controller's. Without a Deployment the name of the clusterset is not known.
func (l *Leases) add(lease *coordinationv1.Lease, s *Set) {
	ours := func(set string) bool { return s.Controller == nil || set == s.ClusterSet() }
	switch set, leads := strings.CutPrefix(lease.Name, leaderPrefix); {
	case lease.Labels[mcsapi.LabelSourceCluster] != "" && ours(lease.Labels[mcsapi.LabelClusterSet]):
		newer(&l.Kept, lease)
	case lease.Labels[mcsapi.LabelSourceCluster] == "" && leads && ours(set):
		newer(&l.Leader, lease)
	}
}

func newer(than **Lease, lease *coordinationv1.Lease) {
	l := &Lease{Name: lease.Namespace + "/" + lease.Name}
	if lease.Spec.HolderIdentity != nil {
		l.Holder = *lease.Spec.HolderIdentity
	}
	if lease.Spec.RenewTime != nil {
		l.Renewed = lease.Spec.RenewTime.Time
	}
	if lease.Spec.LeaseDurationSeconds != nil {
		l.Lasts = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	}
	if old := *than; old == nil || cmp.Or(l.Renewed.Compare(old.Renewed), strings.Compare(l.Name, old.Name)) > 0 {
		*than = l
	}
}

func (c *Cluster) leases(ctx context.Context, ns string) ([]coordinationv1.Lease, error) {
	return kubeclient.All(ctx, metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) ([]coordinationv1.Lease, metav1.ListMeta, error) {
		list, err := c.Kube.CoordinationV1().Leases(ns).List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return mcsapi.OnlyWellformed(list.Items, true), list.ListMeta, nil
	})
}
