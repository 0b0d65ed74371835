package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/stub"
)

func (a *app) dns() *cobra.Command {
	r := &stub.Request{}
	off, dryRun := false, false
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "Have the cluster's own CoreDNS forward the zone to ours",
		Long: `dns adds one server block to the Corefile of the CoreDNS that the cluster of --context has (ConfigMap kube-system/coredns),
which forwards the zone of the clusterset to the CoreDNS of deploy/coredns, and waits until every pod answers. Nothing else
in the Corefile changes, and it is only written once there is a ready pod to forward to, or at once with --wait 0. --off
takes the block out again, and waits until no pod answers for the zone: then our CoreDNS can be deleted. It waits also where the
block is gone already.

A block that somebody changed by hand stays as it is, unless --overwrite is given.

It refuses, and says why, where another server block or the plugin kubernetes claims the zone. Where the plugin is in the
cluster's own CoreDNS, there is nothing to do.`,
		Example: `  mcsctl dns --context c1
  mcsctl dns --context c1 --dry-run
  mcsctl dns --context c1 --off`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if off && dryRun {
				return errors.New("--off and --dry-run exclude each other; want one of them")
			}
			var err error
			if r.Cluster, err = members.One(a.members, a.members.Context); err != nil {
				return err
			}
			if err := r.Locate(cmd.Context(), a.members.Namespace); err != nil {
				return problem{err}
			}
			r.Zone, r.Progress = a.zone, a.screen.Progress
			switch {
			case dryRun:
				text, err := r.DryRun(cmd.Context())
				if err != nil {
					return problem{err}
				}
				_, err = fmt.Fprint(a.screen.Out, text)
				return err
			case off:
				if err := r.Off(cmd.Context()); err != nil {
					return problem{err}
				}
				return a.done("%s no longer forwards %s", r.Cluster.Origin, a.zone)
			}
			if err := r.On(cmd.Context()); err != nil {
				return problem{err}
			}
			return a.done("%s is set up to answer for %s", r.Cluster.Origin, a.zone)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&off, "off", false, "take the block out again")
	f.BoolVar(&r.Overwrite, "overwrite", false, "replace, or with --off take out, a block that somebody changed by hand")
	f.BoolVar(&dryRun, "dry-run", false, "print the Corefile as it would be, and change nothing")
	f.DurationVar(&r.Wait, "wait", 3*time.Minute, "how long to wait for pods to be ready, and then to reload; 0 not to wait")
	return cmd
}
