// Package join makes a cluster a member of a clusterset, and ends that: an identity in the cluster that joins, and a Secret
// in the cluster whose controller is to use it.
//
// What speaks against it is decided by [Refuse], which knows no client; what is applied are the manifests of deploy/, and
// one Secret that carries the kubeconfig. The controller needs no restart. No token is ever printed.
package join

import (
	"cmp"
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/shell"
)

// Party is a cluster, as far as it matters to whether it can be a member beside others.
type Party struct {
	ID  string
	UID types.UID // of namespace kube-system; "" if it is not known
	// Secret is the name of the one that registers it; empty for the cluster that is joined.
	Secret string
	// Server is the URL of its API server, where that tells which cluster it is, since the UID is not known.
	Server string
	// Self says that a controller there has it as its own cluster (--self), and only reads others.
	Self bool
	// Origin says where it was found, for people.
	Origin string
	// Pods and Services are the ranges of addresses; empty if not known.
	Pods, Services []netip.Prefix
	// Ignored says that a person does not believe those ranges.
	Ignored bool
}

// is reports whether two are the same cluster: by their UIDs, and where one is hidden, by their servers.
func (p Party) is(o Party) bool {
	if p.UID != "" && o.UID != "" {
		return p.UID == o.UID
	}
	return p.Server != "" && p.Server == o.Server
}

// ignoreRanges marks the parties with ids as those whose ranges don't count. One without an id goes by its origin.
func ignoreRanges(parties []Party, ids []string) error {
	for _, id := range ids {
		found := false
		for i := range parties { // a cluster may be both the one that is joined and a member of its own
			if cmp.Or(parties[i].ID, parties[i].Origin) == id {
				parties[i].Ignored, found = true, true
			}
		}
		if !found {
			return fmt.Errorf("--ignore-ranges %s: no member has that id", id)
		}
	}
	return nil
}

// Newcomer is the cluster that wants to join.
type Newcomer struct {
	Party
	// ServesExports says that it has the CRDs.
	ServesExports bool
	// Flags make kubectl act on it; Registering makes mcsctl leave act on the clusterset that it wants to join.
	Flags, Registering shell.Text
}

// orLeave is how to end the membership of another first, if it is one.
func (n *Newcomer) orLeave(o Party) shell.Text {
	if o.Secret == "" {
		return ""
	}
	return ", or to end that membership first: " + shell.At(n.Registering, "mcsctl leave %s", o.ID)
}

// Refuse says why a cluster can't become a member beside others, and the way out, in one line; nil if it can. The first of
// the others is the one that it joins. One that has its id and is the same cluster is no obstacle: it joins again.
func Refuse(n Newcomer, others []Party) error {
	if err := registration.ValidID(n.ID); err != nil {
		return err
	}
	for _, o := range others {
		same := n.is(o)
		switch {
		case same && o.Self:
			return fmt.Errorf("this is the cluster that it would join (%s), whose controller has it as its own, %s, without a registration; join registers other clusters: want another --from, or another --context", o.Origin, o.ID)
		case same && o.ID != n.ID:
			return fmt.Errorf("this is the cluster that is a member as %s already (%s); want each cluster once: another --from%s", o.ID, o.Origin, n.orLeave(o))
		case same:
			continue
		case o.ID == n.ID && (o.UID == "" || n.UID == ""):
			continue // it can't be told from the one that joined before
		case o.ID == n.ID:
			return fmt.Errorf("cluster id %s is that of another cluster (%s); want another id%s", n.ID, o.Origin, n.orLeave(o))
		}
		if err := clash(n, o); err != nil && !o.Ignored {
			return err
		}
	}
	if !n.ServesExports {
		return fmt.Errorf("cluster %s does not serve ServiceExport; install the CRDs with --crds, or: %s", n.ID, shell.At(n.Flags, "kubectl apply --server-side -k deploy/crds"))
	}
	return nil
}

// clash says which addresses two clusters both use: packets between them could not be routed. Services of both may have the same
// ones, which mean something in their own cluster only.
func clash(n Newcomer, o Party) error {
	other := cmp.Or(o.ID, o.Origin)
	for _, c := range []struct {
		what, whose string
		a, b        []netip.Prefix
	}{
		{"pods", "pods", n.Pods, o.Pods},
		{"pods", "Services", n.Pods, o.Services},
		{"Services", "pods", n.Services, o.Pods},
	} {
		if a, b, found := overlap(c.a, c.b); found {
			return fmt.Errorf("the %s of %s have %s, the %s of %s have %s, which overlap; want clusters with ranges of their own; --pod-cidrs tells the ranges where nodes don't; "+
				"that %s has %s is its own claim (%s): %s joins in spite of it", c.what, n.ID, a, c.whose, other, b, other, b, o.Origin, shell.Command("--ignore-ranges %s", other))
		}
	}
	return nil
}
