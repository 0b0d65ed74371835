package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/objects"
)

// writing makes a command that writes objects of one name into the cluster of --context.
func (a *app) writing(cmd *cobra.Command, done string, do func(context.Context, *objects.Writer) error) *cobra.Command {
	var wait time.Duration
	cmd.Args = cobra.ExactArgs(1)
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the controller; 0 not to wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, _, err := parseName(args[0], a.zone)
		if err != nil {
			return err
		}
		c, err := members.One(a.members, a.members.Context)
		if err != nil {
			return err
		}
		if err := do(cmd.Context(), &objects.Writer{Cluster: c, Key: key, Namespace: a.members.Namespace, Zone: a.zone, Wait: wait, Progress: a.screen.Progress}); err != nil {
			return problem{err}
		}
		return a.done(done, key)
	}
	return cmd
}

func (a *app) export() *cobra.Command {
	return a.writing(&cobra.Command{
		Use: "export NAME", Short: "Export a Service of the cluster of --context",
		Long: `export makes a ServiceExport for a Service of that name, and waits until the controller says that it is exported. Where
the cluster has no controller of its own, it waits for those of others for a few seconds only.`,
	}, "%s is exported", func(ctx context.Context, w *objects.Writer) error { return w.Export(ctx) })
}

func (a *app) unexport() *cobra.Command {
	return a.writing(&cobra.Command{
		Use: "unexport NAME", Short: "Stop exporting a Service",
		Long: `unexport deletes the ServiceExport, whereupon the controller takes this cluster's endpoints out of all others. One that a
rule made, which would make it again, stays.`,
	}, "%s is no longer exported", func(ctx context.Context, w *objects.Writer) error { return w.Unexport(ctx) })
}

func (a *app) importCommand() *cobra.Command {
	return a.writing(&cobra.Command{
		Use: "import NAME", Short: "Import a service into the cluster of --context, where imports are on demand",
		Long: `import makes a ServiceImport with the type and ports that some member exports, as far as that can be read from here, and
waits until the controller serves it.`,
	}, "%s is imported", func(ctx context.Context, w *objects.Writer) error {
		return w.Import(ctx, a.exported(ctx, w))
	})
}

// exported returns the Service behind some export of the name; nil if none can be read from here.
func (a *app) exported(ctx context.Context, w *objects.Writer) *corev1.Service {
	set, err := a.find(ctx)
	if err != nil {
		return nil
	}
	for _, c := range set.Clusters {
		if c.Err != nil || !c.Provider {
			continue
		}
		if e, err := c.Export(ctx, w.Key); err != nil || e == nil {
			continue
		}
		if s, err := c.Service(ctx, w.Key); err == nil && s != nil {
			return s
		}
	}
	return nil
}
