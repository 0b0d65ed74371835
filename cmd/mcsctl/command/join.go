package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clusterset/multicluster/cmd/mcsctl/join"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/shell"
)

// origin is the flags that name the cluster that joins or leaves.
type origin struct{ context, kubeconfig string }

func (o *origin) flags(cmd *cobra.Command, use string) {
	cmd.Flags().StringVar(&o.context, "from", "", "the `context` of the cluster "+use)
	cmd.Flags().StringVar(&o.kubeconfig, "from-kubeconfig", "", "the kubeconfig `file` with that context (default: as --kubeconfig)")
}

func (o *origin) given() bool { return o.context != "" || o.kubeconfig != "" }

// cluster connects to the cluster that the flags name.
func (o *origin) cluster(base members.Options) (*members.Cluster, error) {
	if o.kubeconfig != "" {
		base.Kubeconfig = o.kubeconfig
	}
	c, err := members.One(base, o.context)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return c, nil
}

// home finds the clusterset whose registrations are Secrets.
func (a *app) home(ctx context.Context) (*members.Set, error) {
	if len(a.members.Contexts) > 0 || len(a.members.Clusters) > 0 {
		return nil, errors.New("this command is about the Secrets of one cluster; want --context instead of --contexts and --cluster")
	}
	return a.find(ctx)
}

func (a *app) join() *cobra.Command {
	var from origin
	var podCIDRs []string
	var endpointCIDRs, exportedKeys string
	r := &join.Request{}
	dryRun := false
	cmd := &cobra.Command{
		Use:   "join ID",
		Short: "Make a cluster a member of the clusterset",
		Long: `join makes, in the cluster of --from, an identity that may read what is exported, and registers the cluster by a Secret in
the cluster of --context, where the controller finds it at once. In a fleet, where one controller keeps the imports of all
members, the identity may write those, too.

ID is the cluster id: one DNS label, or two joined by a dot. Joining again renews what is there. It keeps the limits of the
registration that no flag changes, and what --role, --server (with --unchecked), --pod-cidrs and --endpoint-cidrs any said before; an
empty value, such as --server "", takes that back.

It declares the ranges that endpoints must be in where Calico, Cilium or kubeadm wrote them down and no endpoint of the
cluster lies elsewhere, or as --pod-cidrs and --endpoint-cidrs say. Otherwise it says why not. On the word of the cluster's
configuration alone it declares nothing wider than a /8 (IPv4) or a /32 (IPv6), and nothing that holds addresses of others.

The controller takes the path of the kubeconfig: its server, proxy-url, CA or insecure-skip-tls-verify, and tls-server-name.
--server replaces the address; there the cluster's own CA counts, too. Before anything is created, an API server must answer
there; before the cluster is registered, it must let the new identity in. When something fails, what was created is deleted.
An address of this machine only, as in the kubeconfigs of kind, k3d and minikube, is refused where the controller runs in pods.

It refuses, and says why: an id that another cluster has, a cluster that is a member already, overlapping ranges of pods
or Services, a cluster that can't be reached or lacks the CRDs (--crds installs them). Ranges of a member are its own
claim: --ignore-ranges joins in spite of them. It also refuses to join a cluster to itself, unless that is a hub, whose controller
serves all members; and --endpoint-cidrs that have no address of the cluster's pods, nodes
or exported Services. If they lack some of the pods, it warns.`,
		Example: `  mcsctl join c2 --from c2 --context c1 --crds
  mcsctl join c2 --from-kubeconfig c2.kubeconfig --kubeconfig c1.kubeconfig --server https://10.0.0.2:6443
  mcsctl join c2 --from c2 --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.cleanup.Store(int64(join.Undoing + a.members.Timeout)) // a request that is under way, and what undoes it
			if !from.given() {
				return errors.New("which cluster joins? want --from CONTEXT, or --from-kubeconfig FILE")
			}
			if r.Role != "" {
				if err := join.ParseRole(r.Role); err != nil {
					return err
				}
			}
			ranges, bad := join.ParseCIDRs(podCIDRs)
			if len(bad) > 0 {
				return fmt.Errorf("--pod-cidrs %s: want ranges such as 10.1.0.0/16", strings.Join(bad, ","))
			}
			r.Limits = map[string]string{registration.LimitEndpointCIDRs: endpointCIDRs, registration.LimitExportedKeys: exportedKeys}
			for name, list := range r.Limits {
				if err := join.CheckLimit(name, list); err != nil {
					return err
				}
			}
			var err error
			if r.From, err = from.cluster(a.members); err != nil {
				return err
			}
			if r.Set, err = a.home(cmd.Context()); err != nil {
				return err
			}
			r.Said = map[string]string{}
			for flag, value := range map[string]string{
				"role": r.Role, "server": r.Server, "unchecked": fmt.Sprint(r.Unchecked), "pod-cidrs": strings.Join(podCIDRs, ","), registration.LimitEndpointCIDRs: endpointCIDRs,
			} {
				if cmd.Flags().Changed(flag) {
					r.Said[flag] = value
				}
			}
			r.ID, r.PodCIDRs, r.Progress = args[0], ranges, a.screen.Progress
			r.Recall()
			if r.Unchecked && r.Server == "" {
				return errors.New("--unchecked is about the address of --server; want both")
			}
			return a.doJoin(cmd.Context(), r, dryRun)
		},
	}
	from.flags(cmd, "that joins")
	f := cmd.Flags()
	f.StringVar(&r.Role, "role", "", "`role` of the member: provider, consumer or both (default: provider where the controller at home is that of one cluster, else both)")
	f.StringVar(&r.Server, "server", "", "the `URL` at which the controller reaches the API server that joins (default: that of the kubeconfig)")
	f.BoolVar(&r.Unchecked, "unchecked", false, "don't try --server from this machine, which doesn't reach it")
	f.StringSliceVar(&podCIDRs, "pod-cidrs", nil, "the `ranges` of the pods of the cluster that joins, where its nodes don't tell")
	f.StringSliceVar(&r.IgnoreRanges, "ignore-ranges", nil, "the `ids` of members that claim ranges which are not theirs: what overlaps with those is no reason to refuse")
	f.StringVar(&endpointCIDRs, registration.LimitEndpointCIDRs, "", "the `ranges` that endpoints of the cluster that joins must be in, or any (default: what is registered, else what its network's configuration says, if that can be relied on)")
	f.StringVar(&exportedKeys, registration.LimitExportedKeys, "", "the `keys` of labels and annotations with a domain that its exports may set elsewhere: domains, keys, or *.domain (default: what is registered, else none)")
	f.BoolVar(&r.CRDs, "crds", false, "install the CRDs of the API in both clusters, where they are missing")
	f.DurationVar(&r.Wait, "wait", 20*time.Second, "how long the cluster may take to issue a token, and to let it in")
	f.BoolVar(&dryRun, "dry-run", false, "print the YAML of what would be applied, and change nothing")
	return cmd
}

func (a *app) doJoin(ctx context.Context, r *join.Request, dryRun bool) error {
	if dryRun {
		text, err := r.DryRun(ctx)
		if err != nil {
			return problem{err}
		}
		_, err = fmt.Fprint(a.screen.Out, text)
		return err
	}
	if err := r.Do(ctx); err != nil {
		return problem{fmt.Errorf("joining %s: %w", r.ID, err)}
	}
	for _, w := range r.Warnings() {
		a.screen.Progress("warning: %s", w)
	}
	if r.Unchecked {
		return a.done("%s is registered; whether the controller reaches %s was not checked, its log says so", r.ID, r.Server)
	}
	return a.done("%s is a member now; to see it: %s", r.ID, shell.At(r.Set.Look(), "mcsctl status"))
}

func (a *app) leave() *cobra.Command {
	var from origin
	cmd := &cobra.Command{
		Use:   "leave ID",
		Short: "End the membership of a cluster",
		Long: `leave deletes the Secret in the cluster of --context that registers the member. The controller then takes everything out of
the other clusters that came from there; where no controller runs any longer, leave says what stays. With --from it also deletes
the identity in the cluster that leaves, even if the registration is gone already, unless that cluster is, or may be, a member under another id; don't do that where other clusters use the
same identity.`,
		Example: `  mcsctl leave c2 --context c1
  mcsctl leave c2 --context c1 --from c2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c *members.Cluster // that leaves
			if from.given() {
				var err error
				if c, err = from.cluster(a.members); err != nil {
					return err
				}
			}
			set, err := a.home(cmd.Context())
			unreachable := (*members.UnreachableHome)(nil)
			switch {
			case c != nil && errors.As(err, &unreachable):
				return fmt.Errorf("%w; if that cluster is gone, delete the identity that %s left in %s: %s", err, args[0], c.Origin, join.DeleteIdentity(c, a.members.Namespace))
			case err != nil:
				return err
			}
			a.cleanup.Store(int64(join.Unmarking))
			if err := join.Leave(cmd.Context(), set, args[0], c, a.screen.Progress); err != nil {
				return problem{err}
			}
			if c != nil {
				if err := join.RemoveIdentity(cmd.Context(), c, a.members.Namespace, a.screen.Progress); err != nil {
					return problem{err}
				}
			}
			return a.done("%s is no longer a member", args[0])
		},
	}
	from.flags(cmd, "that leaves, whose identity is to go, too")
	return cmd
}
